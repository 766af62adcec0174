"""`/ws`: greets a client, takes its messages, and leaves serving it to the hub."""

from __future__ import annotations

import time
from typing import Any

from aiohttp import WSMsgType, web

from server import __version__, ids, log
from server.api.guard import WEBSOCKET_PROTOCOL
from server.events.log import EventLog
from server.ws import protocol
from server.ws.connection import Connection
from server.ws.hub import HEARTBEAT_SECONDS, Hub
from server.ws.protocol import Detail, NotUnderstood

logger = log.get(__name__)


class Endpoint:
    def __init__(self, hub: Hub, event_log: EventLog):
        self._hub = hub
        self._log = event_log

    async def handle(self, request: web.Request) -> web.WebSocketResponse:
        # Pings and pongs are ours (aiohttp's heartbeat has another deadline), and a batch is sent to many uncompressed.
        socket = web.WebSocketResponse(
            protocols=(WEBSOCKET_PROTOCOL,),
            autoping=False,
            compress=False,
            max_msg_size=protocol.MAX_MESSAGE_BYTES,
        )
        await socket.prepare(request)
        if request.transport is None:
            return socket  # gone already
        connection = Connection(ids.new_id(), socket, request.transport, time.monotonic())
        self._hub.join(connection)
        try:
            await self._greet(connection)
            await self._first_subscription(connection, request)
            await self._receive(connection)
        except TimeoutError:
            connection.close(protocol.TOO_SLOW, "too slow")
        except (ConnectionError, RuntimeError) as error:
            # The client went away while something was being sent to it.
            logger.debug("websocket client gone", client=connection.id, error=str(error))
        finally:
            self._hub.leave(connection)
        return socket

    async def _greet(self, connection: Connection) -> None:
        head = self._log.head
        await connection.reply(
            {
                "type": "hello",
                "server": "mismo",
                "version": __version__,
                "epoch": head.epoch,
                "seq": head.seq,
                "oldest_seq": head.oldest_seq,
                "client_id": connection.id,
                "heartbeat": int(HEARTBEAT_SECONDS),
            }
        )

    async def _first_subscription(self, connection: Connection, request: web.Request) -> None:
        try:
            message = protocol.topics_of_query(request.query.get("topics"), request.query.get("since"))
        except NotUnderstood as error:
            await _complain(connection, error)
            return
        if message is not None:
            await self._subscribe(connection, message)

    async def _receive(self, connection: Connection) -> None:
        async for message in connection.socket:
            if message.type is WSMsgType.TEXT:
                try:
                    await self._answer(connection, protocol.parse(message.data))
                except NotUnderstood as error:
                    await _complain(connection, error)
            elif message.type is WSMsgType.PING:
                await connection.socket.pong(message.data)
            elif message.type is WSMsgType.PONG:
                connection.ponged()
            elif message.type is WSMsgType.BINARY:
                await _complain(connection, NotUnderstood("messages are JSON text, not binary", code="binary"))

    async def _answer(self, connection: Connection, message: dict[str, Any]) -> None:
        if message["type"] == "subscribe":
            await self._subscribe(connection, message)
        elif message["type"] == "unsubscribe":
            connection.topics = connection.topics.without(message["topics"])
            await _reply(
                connection, "unsubscribed", message, topics=list(connection.topics.details), seq=self._hub.last_seq
            )
        else:
            await _reply(connection, "pong", message, seq=self._log.seq)

    async def _subscribe(self, connection: Connection, message: dict[str, Any]) -> None:
        detail: Detail = message["detail"]
        since, epoch = message["since"], message["epoch"]
        topics = connection.topics.with_(message["topics"], detail)
        if since is not None or epoch is not None:
            await self._log.refresh()
        reason = self._hub.reset_reason(since or 0, epoch) if since is not None or epoch is not None else None
        if since is None and epoch is not None and reason is protocol.Reset.TOO_OLD:
            reason = None  # only the epoch was asked about
        await _reply(connection, "subscribed", message, topics=list(topics.details), seq=self._hub.last_seq)
        if reason is not None:
            await connection.reply({"type": "reset", "reason": reason, "seq": self._hub.last_seq})
        elif since is not None:
            await self._hub.replay(connection, protocol.topics_of(dict.fromkeys(message["topics"], detail)), since)
        if connection.position is None:
            self._hub.go_live(connection)
        connection.topics = topics


async def _reply(connection: Connection, kind: str, message: dict[str, Any], **content: Any) -> None:
    echoed = {"id": message["id"]} if message["id"] is not None else {}
    await connection.reply({"type": kind, **echoed, **content})


async def _complain(connection: Connection, error: NotUnderstood) -> None:
    await connection.reply({"type": "error", "id": error.message_id, "code": error.code, "detail": error.detail})
