"""The shared log of what was published lately: each event stands here once, and every client has a place in it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import orjson

from server.clock import to_rfc3339
from server.events.model import Effect, Event, ResourceEvent
from server.ws.protocol import Detail

MAX_ITEMS = 20_000
MAX_BYTES = 32 * 1024 * 1024


@dataclass(slots=True)
class Item:
    """One published event. `seq` is None for a transient one. Its JSON is made once for each detail level."""

    seq: int | None
    ts: int
    name: str
    data: Mapping[str, Any]
    kind: type[Event] | None
    client_id: str | None
    ids_json: bytes | None = field(default=None)
    full_json: bytes | None = field(default=None)

    @property
    def resource(self) -> str | None:
        """The kind of resource that must be fetched for the full form; None when the data is complete."""
        if self.kind is None or not issubclass(self.kind, ResourceEvent) or self.kind.effect is Effect.DELETED:
            return None
        return self.kind.resource

    def json(self, detail: Detail) -> bytes:
        """The event as it is sent. The full form of a resource event must have been filled in by `fill`."""
        if detail is Detail.FULL:
            if self.full_json is None:
                self.full_json = self._dump(self.data)
            return self.full_json
        if self.ids_json is None:
            self.ids_json = self._dump({key: _only_id(value) for key, value in self.data.items()})
        return self.ids_json

    def fill(self, resources: Mapping[str, bytes]) -> None:
        """Make the full form from the resources as JSON; one that is gone meanwhile is left out."""
        assert self.kind is not None
        assert issubclass(self.kind, ResourceEvent)
        found = [resources[id_] for id_ in self.data["ids"] if id_ in resources]
        self.full_json = self._dump({**self.data, self.kind.plural: orjson.Fragment(b"[" + b",".join(found) + b"]")})

    def _dump(self, data: Mapping[str, Any]) -> bytes:
        event: dict[str, Any] = {"seq": self.seq} if self.seq is not None else {}
        return orjson.dumps({**event, "event": self.name, "ts": to_rfc3339(self.ts), "data": data})


def _only_id(value: Any) -> Any:
    return {"id": value["id"]} if isinstance(value, dict) and "id" in value else value


class Ring:
    """A bounded run of items. A position counts every item ever appended; `start` is the first that is still here."""

    def __init__(self, floor_seq: int, max_items: int = MAX_ITEMS, max_bytes: int = MAX_BYTES):
        self._items: deque[Item] = deque()
        self._max_items = max_items
        self._max_bytes = max_bytes
        self._bytes = 0
        self.start = 0
        self.floor_seq = floor_seq
        """Every recorded event after this number that was published is still in the ring."""
        self.last_seq = floor_seq

    @property
    def end(self) -> int:
        return self.start + len(self._items)

    def append(self, item: Item) -> None:
        self._items.append(item)
        if item.seq is not None:
            self.last_seq = item.seq
        if len(self._items) > self._max_items:
            self._drop()

    def grown(self, size: int) -> None:
        """Account for the bytes of JSON that items now hold, and drop the oldest when there are too many."""
        self._bytes += size
        while self._bytes > self._max_bytes and len(self._items) > 1:
            self._drop()

    def _drop(self) -> None:
        item = self._items.popleft()
        self._bytes -= len(item.full_json or b"") + len(item.ids_json or b"")
        self.start += 1
        if item.seq is not None:
            self.floor_seq = item.seq

    def between(self, position: int, stop: int) -> Iterator[Item]:
        """Items from a position up to another, oldest first; what was dropped meanwhile is left out."""
        return islice(self._items, max(0, position - self.start), max(0, stop - self.start))

    def position_after(self, seq: int) -> int:
        """The position of the first item that comes after a recorded event."""
        for offset, item in enumerate(reversed(self._items)):
            if item.seq is not None and item.seq <= seq:
                return self.end - offset
        return self.start
