"""The hub: takes what the bus publishes, and serves it to every connection at that connection's own pace."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

from server import log
from server.events.log import EventLog
from server.events.model import Entry, Event, Transient, registry
from server.ws import protocol
from server.ws.connection import STALLED_SECONDS, Connection
from server.ws.protocol import Detail, Reset, Topics
from server.ws.ring import Item, Ring

logger = log.get(__name__)

COALESCE_SECONDS = 0.02
TRANSIENT_INTERVAL_SECONDS = 0.1
HEARTBEAT_SECONDS = 25.0
PONG_SECONDS = 10.0
FAREWELL_SECONDS = 5.0
FRAME_EVENTS = 500
FRAME_BYTES = 1024 * 1024
REPLAY_BATCH = 500
SLICE_RESOURCES = 2000

# Fetches resources by id: id → the resource as JSON.
Fetch = Callable[[Sequence[str]], Awaitable[Mapping[str, bytes]]]


class Hub:
    """A listener of the bus, and the service that serves its connections."""

    name = "websocket hub"

    def __init__(self, event_log: EventLog, now: Callable[[], float] = time.monotonic):
        self._log = event_log
        self._now = now
        self._kinds: dict[str, type[Event]] = registry()
        self._fetch: dict[str, Fetch] = {}
        self._ring = Ring(event_log.seq)
        self._connections: set[Connection] = set()
        self._dirty = asyncio.Event()
        self._waiting: dict[tuple[str, str], tuple[Transient, int]] = {}
        self._sent_at: dict[tuple[str, str], float] = {}

    def serve_resource(self, resource: str, fetch: Fetch) -> None:
        """Declare how the resources of one kind are fetched for events in full detail."""
        self._fetch[resource] = fetch

    @property
    def connections(self) -> int:
        return len(self._connections)

    @property
    def last_seq(self) -> int:
        """Everything up to here has been published; what comes later will be."""
        return self._ring.last_seq

    # -- from the bus

    def recorded(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            self._ring.append(
                Item(entry.seq, entry.ts, entry.name, entry.data, self._kinds.get(entry.name), entry.client_id)
            )
        self._dirty.set()

    def transient(self, event: Transient, ts: int) -> None:
        """Of several that wait, only the latest is sent."""
        self._waiting[event.name, event.subject] = (event, ts)
        self._dirty.set()

    # -- connections

    def join(self, connection: Connection) -> None:
        self._connections.add(connection)

    def leave(self, connection: Connection) -> None:
        self._connections.discard(connection)

    def reset_reason(self, since: int, epoch: str | None) -> Reset | None:
        """Why a replay from `since` isn't possible; None when it is."""
        head = self._log.head
        if (epoch is not None and epoch != head.epoch) or since > head.seq:
            return Reset.EPOCH
        return Reset.TOO_OLD if since < head.oldest_seq - 1 else None

    def go_live(self, connection: Connection) -> None:
        """From here on the connection gets what is published next."""
        connection.position = self._ring.end
        connection.seq = self._ring.last_seq

    async def replay(self, connection: Connection, topics: Topics, since: int) -> None:
        """Send the recorded events after `since` that match `topics`, then put the connection live, without a gap.

        What the connection was subscribed to before goes on from where it stood, in the same order.
        """
        before, stood_at = connection.topics, connection.seq
        after = min(since, stood_at) if before.details else since
        connection.position = None
        while after < self._ring.last_seq:
            entries = [entry for entry in await self._log.read(after, REPLAY_BATCH) if entry.seq <= self._ring.last_seq]
            if not entries:
                break
            items = []
            for entry in entries:
                detail = topics.wants(entry.name) if entry.seq > since else None
                if entry.seq > stood_at:
                    detail = _fuller(detail, before.wants(entry.name))
                if detail is not None and entry.client_id in (None, connection.id):
                    items.append((self._item(entry), detail))
            await self._fill([item for item, detail in items if detail is Detail.FULL])
            for frame in _frames(item.json(detail) for item, detail in items):
                # Waits until the client has taken it; only this connection's task waits here.
                await connection.send(frame)
            after = entries[-1].seq
        connection.position = self._ring.position_after(after)
        connection.seq = after
        self._dirty.set()

    def _item(self, entry: Entry) -> Item:
        return Item(entry.seq, entry.ts, entry.name, entry.data, self._kinds.get(entry.name), entry.client_id)

    # -- the service

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._heartbeat())
            while True:
                await self._dirty.wait()
                self._dirty.clear()
                self._take_transients()
                await self._flush()
                # What comes within this time goes out together.
                await asyncio.sleep(COALESCE_SECONDS)

    def _take_transients(self) -> None:
        now = self._now()
        for key, (event, ts) in list(self._waiting.items()):
            if now - self._sent_at.get(key, 0.0) >= TRANSIENT_INTERVAL_SECONDS:
                del self._waiting[key]
                self._sent_at[key] = now
                self._ring.append(Item(None, ts, event.name, event.data(), type(event), event.client_id))
        if self._waiting:
            asyncio.get_running_loop().call_later(TRANSIENT_INTERVAL_SECONDS / 2, self._dirty.set)
        if len(self._sent_at) > 1000:
            self._sent_at = {key: at for key, at in self._sent_at.items() if now - at < TRANSIENT_INTERVAL_SECONDS}

    async def _flush(self) -> None:
        """Serve everybody up to where the ring ends now, in slices that bound what is held in memory at once."""
        end = self._ring.end
        position = min((self._position(connection) for connection in self._live()), default=end)
        while position < end:
            position = await self._serve_slice(max(position, self._ring.start), end)

    async def _serve_slice(self, start: int, end: int) -> int:
        stop, seq, addressed = self._slice(start, end)
        await self._fill_slice(start, stop)
        now = self._now()
        built: dict[tuple[Topics, int, str | None], list[bytes]] = {}
        for connection in self._live():
            position = self._position(connection)
            if position >= stop or not connection.has_room(now):
                continue
            if position < self._ring.start:
                self._reset(connection)
                continue
            key = (connection.topics, position, connection.id if connection.id in addressed else None)
            if key not in built:
                built[key] = self._build(connection, position, stop)
            for frame in built[key]:
                connection.write(frame)
            connection.position, connection.seq = stop, seq or connection.seq
        return stop

    def _slice(self, start: int, end: int) -> tuple[int, int | None, set[str | None]]:
        """Where the slice from `start` stops, the last recorded event in it, and the clients it has something for."""
        stop, seq, weight = start, None, 0
        addressed: set[str | None] = set()
        for item in self._ring.between(start, end):
            stop += 1
            seq = item.seq or seq
            weight += len(item.data["ids"]) if item.resource else 1
            addressed.add(item.client_id)
            if weight >= SLICE_RESOURCES:
                break
        return stop, seq, addressed

    def _live(self) -> list[Connection]:
        return [
            connection
            for connection in self._connections
            if connection.position is not None and not connection.is_closing
        ]

    @staticmethod
    def _position(connection: Connection) -> int:
        assert connection.position is not None
        return connection.position

    def _build(self, connection: Connection, position: int, stop: int) -> list[bytes]:
        parts = []
        for item in self._ring.between(position, stop):
            detail = connection.topics.wants(item.name)
            if detail is not None and item.client_id in (None, connection.id):
                parts.append(item.json(detail))
        return [protocol.text_frame(payload) for payload in _frames(parts)]

    def _reset(self, connection: Connection) -> None:
        logger.info("a websocket client fell too far behind", client=connection.id)
        connection.tell({"type": "reset", "reason": Reset.TOO_SLOW, "seq": self._ring.last_seq})
        connection.position, connection.seq = self._ring.end, self._ring.last_seq

    async def _fill_slice(self, start: int, stop: int) -> None:
        """Fetch the resources of those events in a slice that somebody wants in full."""
        subscribed = {connection.topics for connection in self._live() if self._position(connection) < stop}
        wanted = [
            item
            for item in self._ring.between(start, stop)
            if item.resource and item.full_json is None and any(t.wants(item.name) is Detail.FULL for t in subscribed)
        ]
        await self._fill(wanted)
        self._ring.grown(sum(len(item.full_json or b"") for item in wanted))

    async def _fill(self, items: Sequence[Item]) -> None:
        by_resource: dict[str, list[Item]] = {}
        for item in items:
            if item.resource is not None and item.resource in self._fetch:
                by_resource.setdefault(item.resource, []).append(item)
        for resource, waiting in by_resource.items():
            ids = list(dict.fromkeys(id_ for item in waiting for id_ in item.data["ids"]))
            found = await self._fetch[resource](ids)
            for item in waiting:
                item.fill(found)

    async def _heartbeat(self) -> None:
        while True:
            await asyncio.sleep(1)
            now = self._now()
            for connection in list(self._connections):
                self._look_after(connection, now)

    def _look_after(self, connection: Connection, now: float) -> None:
        unanswered, blocked = connection.ping_unanswered_since, connection.blocked_since
        if connection.is_closing:
            if now - connection.last_ping > FAREWELL_SECONDS:
                connection.abort()
        elif unanswered is not None and now - unanswered > PONG_SECONDS:
            connection.close(protocol.GOING_AWAY, "no answer to a ping")
            connection.last_ping = now
        elif not connection.has_room(now) and blocked is not None and now - blocked > STALLED_SECONDS:
            logger.info("closing a websocket client that doesn't read", client=connection.id)
            connection.close(protocol.TOO_SLOW, "too slow")
            connection.last_ping = now
        elif now - connection.last_ping >= HEARTBEAT_SECONDS:
            connection.ping(now)
        elif connection.position is not None and connection.position < self._ring.end:
            self._dirty.set()

    async def close(self) -> None:
        """Tell every client that the server goes away."""
        for connection in list(self._connections):
            await connection.socket.close(code=protocol.GOING_AWAY, message=b"the server is stopping")


def _fuller(one: Detail | None, other: Detail | None) -> Detail | None:
    return Detail.FULL if Detail.FULL in (one, other) else one or other


def _frames(events: Iterable[bytes]) -> list[bytes]:
    """Batches of events as message payloads, each bounded in events and bytes."""
    frames: list[bytes] = []
    batch: list[bytes] = []
    size = 0
    for event in events:
        if batch and (len(batch) >= FRAME_EVENTS or size + len(event) > FRAME_BYTES):
            frames.append(_message(batch))
            batch, size = [], 0
        batch.append(event)
        size += len(event)
    if batch:
        frames.append(_message(batch))
    return frames


def _message(batch: list[bytes]) -> bytes:
    return b'{"type":"events","events":[' + b",".join(batch) + b"]}"
