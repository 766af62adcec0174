"""The websocket to the engine: opened in the background, opened again when it breaks, for ever."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.frames import CloseCode

from server import log
from server.engine.events import EngineState
from server.engine.messages import MAX_MESSAGE_BYTES, REQUEST, NotUnderstood, parse, refusal
from server.engine.pace import Backoff, Pace
from server.events.bus import Bus

logger = log.get(__name__)

# Each holds its reply until the ones before are on their way: some 100 KB with 4,000 beats.
MAX_AT_WORK = 64
# Events wait here while one before them is written down; when it is full, the engine waits.
MAX_EVENTS_WAITING = 1024
# A whole frame this large is still read, so that the engine is told instead of cut off.
_READ_LIMIT = 16 * MAX_MESSAGE_BYTES
_CLOSING_SECONDS = 2
Content = Mapping[str, Any]


class Peer:
    """One connection to the engine: a reply goes over the one its request came by, or nowhere.

    `patience`: in seconds, how long the engine may take nothing in. The websocket's own pings don't find out that it
    stands still: once the buffers are full, a ping waits behind the replies and is never missed.
    """

    def __init__(self, socket: ClientConnection, patience: float):
        self._socket = socket
        self._patience = patience
        # One message at a time is on its way, so that those of an engine that stands still don't pile up as bytes.
        self._turn = asyncio.Lock()
        self.fault: str | None = None

    async def send(self, message: Content) -> bool:
        """Tell the engine something; False when this connection is over."""
        async with self._turn:
            # Made first: what can't be said in JSON is a fault of ours, not of the link.
            text = orjson.dumps(message)
            giving_up = asyncio.get_running_loop().call_later(self._patience, self._give_up)
            try:
                await self._socket.send(text, text=True)
            except ConnectionClosed:
                return False
            finally:
                giving_up.cancel()
        return True

    def _give_up(self) -> None:
        self.fault = f"the engine took nothing in for {self._patience:g} s"
        self._socket.transport.abort()

    async def leave(self) -> None:
        """Say goodbye, or hang up on an engine that doesn't take even that in."""
        try:
            async with asyncio.timeout(_CLOSING_SECONDS):
                await self._socket.close(CloseCode.GOING_AWAY)
        except TimeoutError:
            self._socket.transport.abort()


class Handler(Protocol):
    """Who answers what the engine asks, and takes in what it says."""

    async def answer(self, content: Content, peer: Peer) -> None:
        """A `getTrackInfo`; others may be answered at the same time."""

    async def take(self, name: str, content: Content, peer: Peer) -> None:
        """An event; one after the other, in the order they came."""

    async def disconnected(self, peer: Peer) -> None:
        """The connection broke: what was promised over it will be asked for again."""


class EngineLink:
    """A service. `send` reaches the engine while the link is up and says whether it did."""

    name = "engine link"

    def __init__(
        self,
        url: str,
        token: str | None,
        bus: Bus,
        pace: Pace | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ):
        self.url = url
        self.state = "disconnected"
        self.pace = pace or Pace()
        self.sleep = sleep
        self.monotonic = monotonic
        self.handler: Handler | None = None
        # Set where several processes share a library: one of them talks to the engine.
        self.is_elsewhere: Callable[[], bool] = lambda: False
        # Told of every change of `state`.
        self.on_change: Callable[[], None] = lambda: None
        self._token = token
        self._bus = bus
        self._peer: Peer | None = None
        self._said: tuple[str, str | None] | None = None

    async def send(self, message: Content) -> bool:
        """Tell the engine something; False when the link is down."""
        return self._peer is not None and await self._peer.send(message)

    async def run(self) -> None:
        if not self.url:
            return
        backoff = Backoff(self.pace)
        while True:
            opened_at = self.monotonic()
            try:
                async with self._opened() as socket:
                    opened_at = self.monotonic()
                    peer = Peer(socket, self.pace.pong)
                    try:
                        await self._serve(socket, peer)
                    except asyncio.CancelledError:
                        await peer.leave()
                        raise
                reason = peer.fault or _closing(socket)
            except (OSError, WebSocketException, ValueError) as error:
                # ValueError: whoever answers there may send us on to what is no address.
                reason = f"{type(error).__name__}: {error}"
            was_up = self.state == "connected"
            self._say("disconnected", reason)
            await self.sleep(backoff.after(self.monotonic() - opened_at if was_up else 0))

    def _opened(self) -> connect:
        return connect(
            self.url,
            open_timeout=self.pace.opening,
            ping_interval=self.pace.ping,
            ping_timeout=self.pace.pong,
            close_timeout=_CLOSING_SECONDS,
            max_size=_READ_LIMIT,
            compression=None,
            proxy=None,  # the engine is near; a proxy for the web isn't the way to it
        )

    async def _serve(self, socket: ClientConnection, peer: Peer) -> None:
        """Say who calls, then take what comes, until the connection is over."""
        if not await peer.send({"type": "appServerIdentify", **({"token": self._token} if self._token else {})}):
            return
        self._peer = peer
        self._say("connected", None)
        try:
            async with asyncio.TaskGroup() as group:
                await self._read(socket, peer, group)
        finally:
            self._peer = None
            if self.handler is not None:
                await self.handler.disconnected(peer)

    async def _read(self, socket: ClientConnection, peer: Peer, group: asyncio.TaskGroup) -> None:
        """Requests are answered at once, side by side, and don't wait for the events before them to be written."""
        slots = asyncio.Semaphore(MAX_AT_WORK)
        events: asyncio.Queue[tuple[str, Content] | None] = asyncio.Queue(MAX_EVENTS_WAITING)
        group.create_task(self._take_events(events, peer))
        with contextlib.suppress(ConnectionClosed):
            while True:
                # Bytes: text that isn't UTF-8 is a message like others that can't be read, and no end of the link.
                data = await socket.recv(decode=False)
                try:
                    name, content = _understood(data)
                except NotUnderstood as error:
                    logger.warning("the engine sent something that isn't understood", reason=str(error))
                    await peer.send(refusal(str(error), error.request_id))
                    continue
                if name == REQUEST:
                    await slots.acquire()
                    task = group.create_task(self._answer(content, peer))
                    task.add_done_callback(lambda _: slots.release())
                else:
                    await events.put((name, content))
        # What was said before the link broke still counts; replies in the making end by themselves.
        await events.put(None)

    async def _take_events(self, events: asyncio.Queue[tuple[str, Content] | None], peer: Peer) -> None:
        while (event := await events.get()) is not None:
            name, content = event
            if self.handler is None:
                continue
            try:
                await self.handler.take(name, content, peer)
            except Exception:
                await _failed(name, None, peer)

    async def _answer(self, content: Content, peer: Peer) -> None:
        if self.handler is None:
            return
        try:
            await self.handler.answer(content, peer)
        except Exception:
            await _failed(REQUEST, content["request_id"], peer)

    def _say(self, state: str, detail: str | None) -> None:
        """A failed try after others is no news."""
        if (state, detail) != self._said:
            self._said = (state, detail)
            logger.info("engine link", state=state, url=self.url, detail=detail)
        if state != self.state:
            self.state = state
            self.on_change()
            self._bus.publish(EngineState(subject="engine", state=state, url=self.url, detail=detail))


def _understood(data: bytes) -> tuple[str, Content]:
    if len(data) > MAX_MESSAGE_BYTES:
        raise NotUnderstood(f"a message may have {MAX_MESSAGE_BYTES} bytes at most")
    return parse(data)


async def _failed(name: str, request_id: Any, peer: Peer) -> None:
    """One message that goes wrong costs one reply, not the link in the middle of a set."""
    logger.exception("a message of the engine couldn't be dealt with", message=name)
    await peer.send(refusal("Internal error", request_id))


def _closing(socket: ClientConnection) -> str:
    reason = socket.close_reason
    return f"the link was closed ({socket.close_code}{f': {reason}' if reason else ''})"
