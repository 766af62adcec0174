"""The websocket to the engine: opened in the background, opened again when it breaks, for ever."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI

from server import log
from server.engine.events import EngineState
from server.engine.messages import MAX_MESSAGE_BYTES, NotUnderstood, parse, refusal
from server.events.bus import Bus

logger = log.get(__name__)

PING_SECONDS = 30.0
PONG_SECONDS = 20.0
OPEN_SECONDS = 10.0
STABLE_SECONDS = 60.0
MAX_AT_WORK = 256
# A whole frame this large is still read, so that the engine is told instead of cut off.
_READ_LIMIT = 16 * MAX_MESSAGE_BYTES


class Handler(Protocol):
    """Answers what the engine asks; None where nothing is to be answered."""

    async def handle(self, name: str, content: Mapping[str, Any]) -> Mapping[str, Any] | None: ...

    async def disconnected(self) -> None:
        """The link broke: what was promised over it will be asked for again."""


class EngineLink:
    """A service. `send` reaches the engine while the link is up and says whether it did."""

    name = "engine link"

    def __init__(
        self,
        url: str,
        token: str | None,
        first_delay: float,
        last_delay: float,
        bus: Bus,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ):
        """`first_delay` and `last_delay` in seconds: how long to wait before connecting again, at first and at most."""
        self.url = url
        self.state = "disconnected"
        self._token = token
        self._first_delay = first_delay
        self._last_delay = last_delay
        self._bus = bus
        self._sleep = sleep
        self._socket: ClientConnection | None = None
        self.handler: Handler | None = None
        # Set where several processes share a library: one of them talks to the engine.
        self.is_elsewhere: Callable[[], bool] = lambda: False

    @property
    def is_connected(self) -> bool:
        return self._socket is not None

    async def send(self, message: Mapping[str, Any]) -> bool:
        """Tell the engine something; False when the link is down."""
        socket = self._socket
        if socket is None:
            return False
        try:
            await socket.send(orjson.dumps(message).decode())
        except ConnectionClosed:
            return False
        return True

    async def run(self) -> None:
        if not self.url:
            return
        delay = self._first_delay
        while True:
            opened_at = time.monotonic()
            try:
                await self._connected()
                self._say("disconnected", "the engine closed the link")
            except (OSError, InvalidHandshake, ConnectionClosed, TimeoutError) as error:
                self._say("disconnected", f"{type(error).__name__}: {error}")
            except InvalidURI as error:
                self._say("disconnected", str(error))
                return
            if time.monotonic() - opened_at > STABLE_SECONDS:
                delay = self._first_delay
            await self._sleep(delay * random.uniform(0.8, 1.2))  # noqa: S311 # jitter, not a secret
            delay = min(delay * 2, self._last_delay)

    async def _connected(self) -> None:
        async with connect(
            self.url,
            open_timeout=OPEN_SECONDS,
            ping_interval=PING_SECONDS,
            ping_timeout=PONG_SECONDS,
            close_timeout=2,
            max_size=_READ_LIMIT,
            compression=None,
        ) as socket:
            identify = {"type": "appServerIdentify", **({"token": self._token} if self._token else {})}
            await socket.send(orjson.dumps(identify).decode())
            self._socket = socket
            self._say("connected", None)
            try:
                await self._serve(socket)
            finally:
                self._socket = None
                if self.handler is not None:
                    await self.handler.disconnected()

    async def _serve(self, socket: ClientConnection) -> None:
        """Requests are answered at once, side by side; events in the order they come in."""
        slots = asyncio.Semaphore(MAX_AT_WORK)
        async with asyncio.TaskGroup() as group:
            # Replies still being made when the link breaks end by themselves: there is nobody to send them to.
            with contextlib.suppress(ConnectionClosed):
                async for text in socket:
                    await self._take(socket, text, group, slots)

    async def _take(
        self, socket: ClientConnection, text: str | bytes, group: asyncio.TaskGroup, slots: asyncio.Semaphore
    ) -> None:
        if len(text) > MAX_MESSAGE_BYTES:
            await self._refuse(NotUnderstood(f"a message may have {MAX_MESSAGE_BYTES} bytes at most"))
            return
        try:
            name, content = parse(text)
        except NotUnderstood as error:
            await self._refuse(error)
            return
        if self.handler is None:
            return
        if name == "getTrackInfo":
            await slots.acquire()
            task = group.create_task(self._reply(socket, name, content))
            task.add_done_callback(lambda _: slots.release())
        else:
            await self._reply(socket, name, content)

    async def _reply(self, socket: ClientConnection, name: str, content: Mapping[str, Any]) -> None:
        assert self.handler is not None
        try:
            reply = await self.handler.handle(name, content)
        except Exception:
            # One request that goes wrong costs one reply, not the link in the middle of a set.
            logger.exception("a request of the engine failed", request=name)
            reply = refusal("Internal error", content.get("request_id"))
        if reply is not None:
            with contextlib.suppress(ConnectionClosed):
                await socket.send(orjson.dumps(reply).decode())

    async def _refuse(self, error: NotUnderstood) -> None:
        logger.warning("the engine sent something that isn't understood", reason=str(error))
        await self.send(refusal(str(error), error.request_id))

    def _say(self, state: str, detail: str | None) -> None:
        if state != self.state:
            logger.info("engine link", state=state, url=self.url, detail=detail)
        self.state = state
        self._bus.publish(EngineState(subject="engine", state=state, url=self.url, detail=detail))
