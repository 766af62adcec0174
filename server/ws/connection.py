"""One websocket client: what it is subscribed to, how far it has been served, and whether it still reads."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import orjson
from aiohttp import WSMsgType, web

from server.ws import protocol
from server.ws.limits import Limits
from server.ws.protocol import NO_TOPICS


class Connection:
    """`position` is the place in the hub's ring, None before the first subscription and while a replay runs.

    `seq` is the last event handed over.
    """

    def __init__(
        self, client_id: str, socket: web.WebSocketResponse, transport: asyncio.Transport, now: float, limits: Limits
    ):
        self.id = client_id
        self.topics = NO_TOPICS
        self.position: int | None = None
        self.seq = 0
        self.is_replaying = False
        self.blocked_since: float | None = None
        self.closing_since: float | None = None
        self.last_ping = now
        self.ping_unanswered_since: float | None = None
        self._socket = socket
        self._transport = transport
        self._limits = limits

    @property
    def is_closing(self) -> bool:
        return self.closing_since is not None or self._transport.is_closing()

    def has_room(self, now: float) -> bool:
        """Whether the client takes what it is sent; notes since when it doesn't."""
        if self._transport.get_write_buffer_size() <= self._limits.high_water:
            self.blocked_since = None
            return True
        if self.blocked_since is None:
            self.blocked_since = now
        return False

    def write(self, frame: bytes) -> None:
        """Hand a frame to the socket without waiting: the caller has asked `has_room`."""
        if not self.is_closing:
            self._transport.write(frame)

    def tell(self, message: Mapping[str, Any]) -> None:
        """Send one control message without waiting (a reset)."""
        self.write(protocol.text_frame(orjson.dumps(message)))

    async def reply(self, message: Mapping[str, Any]) -> None:
        """Send one message from the connection's own task: who asks faster than it reads waits here, and only it."""
        await self.send(orjson.dumps(message))

    async def send(self, payload: bytes) -> None:
        """Send one text message and wait until the client has taken it; raises TimeoutError when it doesn't."""
        if self.is_closing:
            raise ConnectionResetError("the connection is being closed")
        async with asyncio.timeout(self._limits.stalled):
            await self._socket.send_frame(payload, WSMsgType.TEXT)

    def ping(self, now: float) -> None:
        self.last_ping = now
        if self.ping_unanswered_since is None:
            self.ping_unanswered_since = now
        self.write(protocol.PING_FRAME)

    def answered(self) -> None:
        """The client has shown that it is there."""
        self.ping_unanswered_since = None

    def close(self, code: int, reason: str, now: float) -> None:
        """Say why, then end; a client that doesn't read doesn't hear it, and is cut off by `abort` later."""
        self.write(protocol.close_frame(code, reason))
        if self.closing_since is None:
            self.closing_since = now

    def abort(self) -> None:
        self._transport.abort()
