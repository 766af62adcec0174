"""The shared log of what was published lately: each event stands here once, and every client has a place in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from server.clock import to_rfc3339
from server.events.model import Effect, Event, ResourceEvent
from server.ws.protocol import Detail

# What Python needs to keep an id of 36 letters in a list, and an event around it.
_ID_BYTES = 100
_ITEM_BYTES = 500
_COMPACT = 4096


@dataclass(slots=True, eq=False)
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
    counted: int = field(default=0)
    """As many bytes the ring has counted for it."""

    @property
    def resource(self) -> str | None:
        """The kind of resource that must be fetched for the full form; None when the data is complete."""
        kind = self.kind
        if kind is None or not issubclass(kind, ResourceEvent) or kind.effect is Effect.DELETED:
            return None
        return kind.resource

    @property
    def weight(self) -> int:
        """How many resources the full form holds, or one."""
        return len(self.data["ids"]) if self.resource else 1

    @property
    def size(self) -> int:
        """Roughly the bytes of memory it takes."""
        text = len(self.full_json or b"") + len(self.ids_json or b"")
        return _ITEM_BYTES + text + (_ID_BYTES * len(self.data["ids"]) if "ids" in self.data else text)

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

    def __init__(self, floor_seq: int, max_items: int, max_bytes: int):
        # A list with a moving head, since a deque is walked from its end to reach a place in the middle.
        self._items: list[Item] = []
        self._head = 0
        self._max_items = max_items
        self._max_bytes = max_bytes
        self.bytes = 0
        self.start = 0
        self.floor_seq = floor_seq
        """Every recorded event after this number that was published is still in the ring."""
        self.last_seq = floor_seq

    def __len__(self) -> int:
        return len(self._items) - self._head

    @property
    def end(self) -> int:
        return self.start + len(self)

    def append(self, item: Item) -> None:
        self._items.append(item)
        if item.seq is not None:
            self.last_seq = item.seq
        self.count([item])

    def count(self, items: Sequence[Item]) -> None:
        """Account for what items hold by now (their JSON is made late), and drop the oldest of what is too much."""
        for item in items:
            size = item.size
            self.bytes += size - item.counted
            item.counted = size
        while len(self) > self._max_items or (self.bytes > self._max_bytes and len(self) > 1):
            self._drop()

    def _drop(self) -> None:
        item = self._items[self._head]
        self._head += 1
        if self._head >= _COMPACT:
            del self._items[: self._head]
            self._head = 0
        self.bytes -= item.counted
        self.start += 1
        if item.seq is not None:
            self.floor_seq = item.seq

    def forget(self) -> None:
        """Drop everything: nobody stands in the ring."""
        self.start = self.end
        self._items.clear()
        self._head = 0
        self.bytes = 0
        self.floor_seq = self.last_seq

    def between(self, position: int, stop: int) -> list[Item]:
        """Items from a position up to another, oldest first; what was dropped meanwhile is left out."""
        offset = self._head - self.start
        return self._items[max(self._head, position + offset) : max(self._head, stop + offset)]

    def position_after(self, seq: int) -> int:
        """The position of the first item that comes after a recorded event."""
        position = self.end
        while position > self.start:
            before = self._items[self._head + position - 1 - self.start].seq
            if before is not None and before <= seq:
                break
            position -= 1
        return position
