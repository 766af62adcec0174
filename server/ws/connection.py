"""One websocket client: what it is subscribed to, how far it has been served, and whether it still reads."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import orjson
from aiohttp import WSMsgType, web

from server.ws import protocol
from server.ws.protocol import NO_TOPICS

# Beyond this many bytes waiting in the socket's buffer nothing more is handed to it.
HIGH_WATER = 512 * 1024
STALLED_SECONDS = 30.0


class Connection:
    """`position` is the place in the hub's ring; None while a replay runs. `seq` is the last event handed over."""

    def __init__(self, client_id: str, socket: web.WebSocketResponse, transport: asyncio.Transport, now: float):
        self.id = client_id
        self.socket = socket
        self.topics = NO_TOPICS
        self.position: int | None = None
        self.seq = 0
        self.blocked_since: float | None = None
        self.is_closing = False
        self.last_ping = now
        self.ping_unanswered_since: float | None = None
        self._transport = transport

    def has_room(self, now: float) -> bool:
        """Whether the client takes what it is sent; notes since when it doesn't."""
        if self._transport.is_closing():
            return False
        if self._transport.get_write_buffer_size() <= HIGH_WATER:
            self.blocked_since = None
            return True
        if self.blocked_since is None:
            self.blocked_since = now
        return False

    def write(self, frame: bytes) -> None:
        """Hand a frame to the socket without waiting: the caller has asked `has_room`."""
        if not self._transport.is_closing() and not self.is_closing:
            self._transport.write(frame)

    def tell(self, message: Mapping[str, Any]) -> None:
        """Send one control message without waiting (a reset)."""
        self.write(protocol.text_frame(orjson.dumps(message)))

    async def reply(self, message: Mapping[str, Any]) -> None:
        """Send one message from the connection's own task: who asks faster than it reads waits here, and only it."""
        await self.send(orjson.dumps(message))

    async def send(self, payload: bytes) -> None:
        """Send one text message and wait until the client has taken it; raises TimeoutError when it doesn't."""
        await asyncio.wait_for(self.socket.send_frame(payload, WSMsgType.TEXT), STALLED_SECONDS)

    def ping(self, now: float) -> None:
        self.last_ping = now
        if self.ping_unanswered_since is None:
            self.ping_unanswered_since = now
        self.write(protocol.PING_FRAME)

    def ponged(self) -> None:
        self.ping_unanswered_since = None

    def close(self, code: int, reason: str) -> None:
        """Say why, then end; a client that doesn't read doesn't hear it, and is cut off by `abort`."""
        self.write(protocol.close_frame(code, reason))
        self.is_closing = True

    def abort(self) -> None:
        self._transport.abort()
