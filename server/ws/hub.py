"""The hub: takes what the bus publishes, and serves it to every connection at that connection's own pace."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from server import errors, log
from server.events.log import EventLog
from server.events.model import Entry, Event, Transient, ended_by, registry
from server.ws import protocol
from server.ws.batch import Frame, frames, messages
from server.ws.connection import Connection
from server.ws.heartbeat import look_after
from server.ws.limits import Limits
from server.ws.protocol import Detail, NotUnderstood, Reset, Topics
from server.ws.ring import Item, Ring

logger = log.get(__name__)

# Fetches resources by id: id → the resource as JSON.
Fetch = Callable[[Sequence[str]], Awaitable[Mapping[str, bytes]]]


class Hub:
    """A listener of the bus, and the service that serves its connections."""

    name = "websocket hub"

    def __init__(self, event_log: EventLog, now: Callable[[], float] = time.monotonic, limits: Limits | None = None):
        self.limits = limits or Limits()
        self.now = now
        self._log = event_log
        self._kinds: dict[str, type[Event]] = registry()
        self._fetch: dict[str, Fetch] = {}
        self._ring = Ring(event_log.seq, self.limits.ring_items, self.limits.ring_bytes)
        self._connections: set[Connection] = set()
        self._dirty = asyncio.Event()
        self._published = asyncio.Event()
        self._moved = asyncio.Event()
        self._is_closed = False
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
            item = self._item(entry)
            self._ring.append(item)
            ended = ended_by(item.kind, item.data)
            if ended is not None:
                self._waiting.pop(ended, None)
        self._published.set()
        self._dirty.set()

    def transient(self, event: Transient, ts: int) -> None:
        """Of several that wait, only the latest is sent."""
        if self._connections:
            self._waiting[event.name, event.subject] = (event, ts)
            self._dirty.set()

    def _item(self, entry: Entry) -> Item:
        return Item(entry.seq, entry.ts, entry.name, entry.data, self._kinds.get(entry.name), entry.client_id)

    # -- connections

    def join(self, connection: Connection) -> None:
        self._connections.add(connection)
        self._moved.set()
        if self._is_closed:
            connection.close(protocol.GOING_AWAY, "the server is stopping", self.now())

    def leave(self, connection: Connection) -> None:
        self._connections.discard(connection)
        self._moved.set()

    def reset_reason(self, since: int | None, epoch: str | None) -> Reset | None:
        """Why a client that knows an epoch, and events up to `since`, can't go on from there; None when it can."""
        head = self._log.head
        if (epoch is not None and epoch != head.epoch) or (since is not None and since > head.seq):
            return Reset.EPOCH
        return Reset.TOO_OLD if since is not None and since < head.oldest_seq - 1 else None

    def refuse_unknown(self, topics: Sequence[str], message_id: Any) -> None:
        """Raises `NotUnderstood` that names the topics no event belongs to: a mistyped one would stay silent."""
        unknown = [topic for topic in topics if not protocol.matches_any(topic, self._kinds)]
        if unknown:
            raise NotUnderstood(f"topics: there is no event {', '.join(unknown)}", message_id, code="unknown_topic")

    async def replay(self, connection: Connection, topics: Topics, since: int) -> None:
        """Send the recorded events after `since` that match `topics`, then put the connection live, without a gap.

        What the connection was subscribed to before goes on from where it stood, in the same order; from here on it is
        subscribed to both.
        """
        before, stood_at = connection.topics, connection.seq
        after = min(since, stood_at) if before.details else since
        # Of transient events, those from before aren't owed to anybody.
        earliest = self._ring.end
        connection.position, connection.is_replaying = None, True
        try:
            # A client may know of an event, by REST, that this process is only about to publish.
            await self._until_published(since)
            while after < self._ring.last_seq:
                read = await self._log.read(after, self.limits.replay_batch)
                entries = [entry for entry in read if entry.seq <= self._ring.last_seq]
                if not entries:
                    break
                wanted = []
                for entry in entries:
                    detail = topics.wants(entry.name) if entry.seq > since else None
                    if entry.seq > stood_at:
                        detail = _fuller(detail, before.wants(entry.name))
                    if detail is not None and entry.client_id in (None, connection.id):
                        wanted.append((self._item(entry), detail))
                await self._fill([item for item, detail in wanted if detail is Detail.FULL])
                for message in messages((item.json(detail) for item, detail in wanted), self.limits):
                    # Waits until the client has taken it; only this connection's task waits here.
                    await connection.send(message)
                after = entries[-1].seq
        finally:
            connection.is_replaying = False
        connection.topics = protocol.topics_of({**before.details, **topics.details})
        connection.position, connection.seq = max(earliest, self._ring.position_after(after)), after
        self._dirty.set()

    async def _until_published(self, seq: int) -> None:
        while self._ring.last_seq < seq:
            self._published.clear()
            await self._published.wait()

    # -- the service

    async def run(self) -> None:
        time_of = asyncio.get_running_loop().time
        async with asyncio.TaskGroup() as group:
            group.create_task(self._heartbeat())
            while True:
                await self._dirty.wait()
                self._dirty.clear()
                began = time_of()
                self._take_transients()
                try:
                    await self._flush()
                except (errors.Unavailable, errors.DiskFull) as error:
                    logger.warning("resources can't be read; events wait", error=str(error))
                    self._dirty.set()
                    await asyncio.sleep(self.limits.retry)
                # What comes within this time goes out together; serving many clients takes some of it already.
                await asyncio.sleep(max(0.0, self.limits.coalesce - (time_of() - began)))

    def _take_transients(self) -> None:
        now, interval = self.now(), self.limits.transient_interval
        for key, (event, ts) in list(self._waiting.items()):
            if now - self._sent_at.get(key, -interval) >= interval:
                del self._waiting[key]
                self._sent_at[key] = now
                self._ring.append(Item(None, ts, event.name, event.data(), type(event), event.client_id))
        if self._waiting:
            asyncio.get_running_loop().call_later(interval / 2, self._dirty.set)
        if len(self._sent_at) > 1000:
            self._sent_at = {key: at for key, at in self._sent_at.items() if now - at < interval}

    async def _flush(self) -> None:
        """Serve everybody who has room up to where the ring ends now.

        Goes in slices, which bound what is held in memory at once. Who has no room keeps its place and costs nothing.
        """
        if not self._connections:
            self._ring.forget()
            return
        end = self._ring.end
        while places := self._places(end):
            await self._serve_slice(min(places.values()), end)

    def _places(self, end: int) -> dict[Connection, int]:
        """Where each connection stands that can be served before `end`."""
        now, start = self.now(), self._ring.start
        places = {}
        for connection in self._connections:
            position = connection.position
            if position is not None and position < end and not connection.is_closing and connection.has_room(now):
                if position < start:
                    self._reset(connection)
                else:
                    places[connection] = position
        return places

    async def _serve_slice(self, start: int, end: int) -> None:
        items = self._slice(start, end)
        stop = start + len(items)
        await self._fill_wanted(items, stop)
        # Read again: while resources were fetched, connections came, went and began replays.
        places = self._places(stop)
        addressed = {item.client_id for item in items}
        built: dict[tuple[Topics, int, str | None], list[Frame]] = {}
        now = self.now()
        for connection, position in places.items():
            if position < start:
                continue  # has room again only now; the next slice begins there
            key = (connection.topics, position, connection.id if connection.id in addressed else None)
            if key not in built:
                built[key] = frames(items[position - start :], position, connection.topics, connection.id, self.limits)
            _serve(connection, built[key], now)
        self._ring.count(items)

    def _slice(self, start: int, end: int) -> list[Item]:
        weight = 0
        items = self._ring.between(start, end)
        for count, item in enumerate(items, 1):
            weight += item.weight
            if weight >= self.limits.slice_resources:
                return items[:count]
        return items

    def _reset(self, connection: Connection) -> None:
        logger.info("a websocket client fell too far behind", client=connection.id)
        connection.tell({"type": "reset", "reason": Reset.TOO_SLOW, "seq": self._ring.last_seq})
        connection.position, connection.seq = self._ring.end, self._ring.last_seq

    async def _fill_wanted(self, items: Sequence[Item], stop: int) -> None:
        """Fetch the resources of those events that somebody wants in full."""
        subscribed = {connection.topics for connection in self._places(stop)}
        await self._fill(
            [
                item
                for item in items
                if item.resource
                and item.full_json is None
                and any(t.wants(item.name) is Detail.FULL for t in subscribed)
            ]
        )

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
            await asyncio.sleep(self.limits.look_after)
            now = self.now()
            for connection in list(self._connections):
                look_after(connection, now, self.limits)
            self._dirty.set()  # who has room again is served

    async def close(self) -> None:
        """Tell every client that the server goes away, and wait until they have gone, or for a farewell's time."""
        self._is_closed = True
        now = self.now()
        for connection in list(self._connections):
            connection.close(protocol.GOING_AWAY, "the server is stopping", now)
        try:
            async with asyncio.timeout(self.limits.farewell):
                while self._connections:
                    self._moved.clear()
                    await self._moved.wait()
        except TimeoutError:
            for connection in list(self._connections):
                connection.abort()


def _serve(connection: Connection, built: Sequence[Frame], now: float) -> None:
    for frame in built:
        if frame.wire:
            connection.write(frame.wire)
        connection.position, connection.seq = frame.position, frame.seq or connection.seq
        if not connection.has_room(now):
            return


def _fuller(one: Detail | None, other: Detail | None) -> Detail | None:
    return Detail.FULL if Detail.FULL in (one, other) else one or other
