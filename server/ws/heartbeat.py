"""Looking after connections: pings, and an end for who doesn't answer or doesn't read."""

from __future__ import annotations

from server import log
from server.ws import protocol
from server.ws.connection import Connection
from server.ws.limits import Limits

logger = log.get(__name__)


def look_after(connection: Connection, now: float, limits: Limits) -> None:
    """Do what is due for one connection."""
    if connection.closing_since is not None:
        if now - connection.closing_since > limits.farewell:
            connection.abort()
        return
    if connection.is_replaying:
        # Its own task waits until each message was taken, and doesn't read the client's pongs meanwhile.
        connection.answered()
        connection.last_ping = now
        return
    unanswered = connection.ping_unanswered_since
    blocked = None if connection.has_room(now) else connection.blocked_since
    if unanswered is not None and now - unanswered > limits.pong:
        logger.info("closing a websocket client that doesn't answer", client=connection.id)
        connection.close(protocol.GOING_AWAY, "no answer to a ping", now)
    elif blocked is not None and now - blocked > limits.stalled:
        logger.info("closing a websocket client that doesn't read", client=connection.id)
        connection.close(protocol.TOO_SLOW, "too slow", now)
    elif now - connection.last_ping >= limits.heartbeat:
        connection.ping(now)
