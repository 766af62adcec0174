"""`/ws`: greets a client, takes its messages, and leaves serving it to the hub."""

from __future__ import annotations

from typing import Any

from aiohttp import WSMsgType, web

from server import __version__, errors, ids, log
from server.api.guard import WEBSOCKET_PROTOCOL
from server.events.log import EventLog
from server.ws import protocol
from server.ws.connection import Connection
from server.ws.hub import Hub
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
        connection = Connection(ids.new_id(), socket, request.transport, self._hub.now(), self._hub.limits)
        self._hub.join(connection)
        try:
            await self._greet(connection)
            await self._first_subscription(connection, request)
            await self._receive(connection, socket)
        except TimeoutError:
            connection.close(protocol.TOO_SLOW, "too slow", self._hub.now())
        except errors.Unavailable as error:
            # The log can't be read now; the client comes again and goes on from where it was.
            logger.warning("a replay was broken off", client=connection.id, error=str(error))
            connection.close(protocol.TRY_AGAIN, "the database can't be read now", self._hub.now())
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
                "heartbeat": round(self._hub.limits.heartbeat),
            }
        )

    async def _first_subscription(self, connection: Connection, request: web.Request) -> None:
        try:
            message = protocol.topics_of_query(request.query)
            if message is not None:
                await self._subscribe(connection, message)
        except NotUnderstood as error:
            await _complain(connection, error)

    async def _receive(self, connection: Connection, socket: web.WebSocketResponse) -> None:
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                try:
                    await self._answer(connection, protocol.parse(message.data))
                except NotUnderstood as error:
                    await _complain(connection, error)
            elif message.type is WSMsgType.PING:
                await socket.pong(message.data)
            elif message.type is WSMsgType.PONG:
                connection.answered()
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
        self._hub.refuse_unknown(message["topics"], message["id"])
        detail: Detail = message["detail"]
        since, epoch = message["since"], message["epoch"]
        topics = dict.fromkeys(message["topics"], detail)
        if since is not None or epoch is not None:
            await self._log.refresh()
        reason = self._hub.reset_reason(since, epoch)
        # What the reply calls the present is where the client goes on from, however long it takes to be sent.
        seq = self._hub.last_seq
        together = protocol.topics_of({**connection.topics.details, **topics})
        await _reply(connection, "subscribed", message, topics=list(together.details), seq=seq)
        if reason is not None:
            await connection.reply({"type": "reset", "reason": reason, "seq": seq})
        await self._hub.replay(
            connection, protocol.topics_of(topics), seq if since is None or reason is not None else since
        )


async def _reply(connection: Connection, kind: str, message: dict[str, Any], **content: Any) -> None:
    echoed = {"id": message["id"]} if message["id"] is not None else {}
    await connection.reply({"type": kind, **echoed, **content})


async def _complain(connection: Connection, error: NotUnderstood) -> None:
    await connection.reply({"type": "error", "id": error.message_id, "code": error.code, "detail": error.detail})
