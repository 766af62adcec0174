"""A websocket client that remembers the events it was sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import orjson

PATIENCE_SECONDS = 60


class Socket:
    def __init__(self, raw: aiohttp.ClientWebSocketResponse):
        self.raw = raw
        self.hello: dict[str, Any] = {}
        self.events: list[dict[str, Any]] = []
        self.others: list[dict[str, Any]] = []

    async def send(self, **message: Any) -> None:
        await self.raw.send_str(orjson.dumps(message).decode())

    async def receive(self) -> dict[str, Any]:
        """The next message; its events are remembered too."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            message = await self.raw.receive()
        if message.type is not aiohttp.WSMsgType.TEXT:
            raise ConnectionError(f"{message.type}: {message.data}")
        content: dict[str, Any] = orjson.loads(message.data)
        if content["type"] == "events":
            self.events += content["events"]
        else:
            self.others.append(content)
        return content

    async def reply(self, kind: str) -> dict[str, Any]:
        """The next message of a kind that isn't events."""
        while (message := await self.receive())["type"] != kind:
            pass
        return message

    async def subscribe(self, *topics: str, since: int | None = None, detail: str = "full") -> dict[str, Any]:
        message: dict[str, Any] = {"type": "subscribe", "topics": list(topics), "detail": detail}
        if since is not None:
            message["since"] = since
        await self.send(**message)
        return await self.reply("subscribed")

    async def until(self, is_it: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The first event, of those remembered and those to come, that fits."""
        seen = 0
        while True:
            for event in self.events[seen:]:
                if is_it(event):
                    return event
            seen = len(self.events)
            await self.receive()

    async def named(self, name: str) -> dict[str, Any]:
        """The first event of a name."""
        return await self.until(lambda event: event["event"] == name)

    async def up_to(self, seq: int) -> list[dict[str, Any]]:
        """All events, once the one with a number (or a later one) has come."""
        await self.until(lambda event: event.get("seq", 0) >= seq)
        return self.events


@asynccontextmanager
async def listening(session: aiohttp.ClientSession, url: str, *topics: str) -> AsyncIterator[Socket]:
    """What a server of another process tells of topics from now on."""
    async with session.ws_connect(f"{url}/ws", max_msg_size=0) as raw:
        socket = Socket(raw)
        socket.hello = await socket.receive()
        await socket.subscribe(*topics)
        yield socket
