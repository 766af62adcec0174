"""Events as values. A domain declares its own in its `events.py` by subclassing `Recorded` or `Transient`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields
from enum import StrEnum
from typing import Any, ClassVar

MAX_IDS = 500


class Effect(StrEnum):
    """What an event does to the resources whose ids it carries."""

    CREATED = "created"
    CHANGED = "changed"
    DELETED = "deleted"


@dataclass(frozen=True, kw_only=True)
class Event:
    """One change. `name` is the topic that clients subscribe to; the fields are its `data`, each under its own name or
    the `data_key` of its metadata.

    `client_id`, when given, is the only websocket client that the event is meant for.
    """

    name: ClassVar[str]
    client_id: str | None = field(default=None)

    def data(self) -> dict[str, Any]:
        """The payload as JSON-ready values."""
        return {data_key(item): getattr(self, item.name) for item in fields(self) if item.name != "client_id"}


def data_key(item: Field[Any]) -> str:
    """The name of an event's field in its `data`."""
    key: str = item.metadata.get("data_key", item.name)
    return key


@dataclass(frozen=True, kw_only=True)
class Recorded(Event):
    """An event with a place (`seq`) in the log, committed together with the change it tells of."""

    @classmethod
    def ends(cls, data: Mapping[str, Any]) -> tuple[str, str] | None:
        """Name and subject of the progress that is over with this event; what is still on its way is dropped."""
        return None


@dataclass(frozen=True, kw_only=True)
class ResourceEvent(Recorded):
    """A change to up to `MAX_IDS` resources of one kind.

    The log keeps their ids; the resources themselves (`plural`) are filled in when the event is published, as a GET
    would return them. Each id takes one number of its own, the event the last of them, so that a delta sync can stop
    and go on between any two resources.
    """

    resource: ClassVar[str]
    plural: ClassVar[str]
    effect: ClassVar[Effect]
    ids: tuple[str, ...]

    def __post_init__(self) -> None:
        if not 0 < len(self.ids) <= MAX_IDS:
            raise ValueError(f"{self.name} carries 1 to {MAX_IDS} ids, not {len(self.ids)}")


@dataclass(frozen=True, kw_only=True)
class SpanEvent(Recorded):
    """A change to all resources of one kind that belong to a `scope`, told once, whatever their number.

    It takes one number of the log for each row number from `first_key` to `last_key`, so that a delta sync can stop
    and go on between any two of the resources, though nothing is written for any of them.
    """

    resource: ClassVar[str]
    scope: str
    first_key: int
    last_key: int

    def data(self) -> dict[str, Any]:
        return {key: value for key, value in super().data().items() if key not in ("scope", "first_key", "last_key")}


@dataclass(frozen=True, kw_only=True)
class Transient(Event):
    """Progress: without a number, not kept, may be coalesced or dropped.

    Of two with the same `name` and `subject` that wait for a client, the later one replaces the earlier.
    """

    subject: str = field(default="")

    def data(self) -> dict[str, Any]:
        return {key: value for key, value in super().data().items() if key != "subject"}


@dataclass(frozen=True, slots=True)
class Entry:
    """A recorded event as it stands in the log. `ts` in Unix milliseconds."""

    seq: int
    ts: int
    name: str
    data: Mapping[str, Any]
    client_id: str | None = None


def ended_by(kind: type[Event] | None, data: Mapping[str, Any]) -> tuple[str, str] | None:
    """Name and subject of the progress that is over with a published event, if any."""
    return kind.ends(data) if kind is not None and issubclass(kind, Recorded) else None


def registry() -> dict[str, type[Event]]:
    """Every declared event by its name; two that share a name are a programming error."""
    found: dict[str, type[Event]] = {}
    pending = list(Event.__subclasses__())
    while pending:
        kind = pending.pop()
        pending.extend(kind.__subclasses__())
        if "name" in kind.__dict__:
            if kind.name in found:
                raise TypeError(f"event {kind.name} is declared twice")
            found[kind.name] = kind
    return found
