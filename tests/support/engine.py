"""A stand-in audio engine: an independent websocket server that speaks the engine's side of the protocol."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed

PATIENCE_SECONDS = 20


class StandInEngine:
    """Remembers what it is told; `connection` is the link that is up."""

    def __init__(self) -> None:
        self.url = ""
        self.connections = 0
        self.identified: list[dict[str, Any]] = []
        self.received: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.connection: ServerConnection | None = None
        self._up = asyncio.Condition()

    async def handle(self, connection: ServerConnection) -> None:
        try:
            async for text in connection:
                message = orjson.loads(text)
                if message.get("type") == "appServerIdentify":
                    self.identified.append(message)
                    await connection.send('{"type":"welcome","message":"hello"}')
                    async with self._up:
                        self.connection = connection
                        self.connections += 1
                        self._up.notify_all()
                else:
                    self.received.put_nowait(message)
        except ConnectionClosed:
            pass  # how a link ends is up to each test
        finally:
            if self.connection is connection:
                self.connection = None

    async def connected(self, times: int = 1) -> ServerConnection:
        """Wait until a link was up so many times, and is."""
        async with asyncio.timeout(PATIENCE_SECONDS), self._up:
            await self._up.wait_for(lambda: self.connections >= times and self.connection is not None)
        assert self.connection is not None
        return self.connection

    async def say(self, **message: Any) -> None:
        assert self.connection is not None
        await self.connection.send(orjson.dumps(message).decode())

    async def hear(self) -> dict[str, Any]:
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await self.received.get()

    async def ask(self, **message: Any) -> dict[str, Any]:
        """Send a request and wait for the reply that names it."""
        await self.say(**message)
        while True:
            reply = await self.hear()
            if reply.get("requestId") == message.get("requestId"):
                return reply


@asynccontextmanager
async def standing_in(port: int = 0) -> AsyncIterator[StandInEngine]:
    engine = StandInEngine()
    server: Server = await serve(engine.handle, "127.0.0.1", port, max_size=None)
    try:
        engine.url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield engine
    finally:
        server.close()
        await server.wait_closed()
