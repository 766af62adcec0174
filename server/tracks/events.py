"""What is announced about tracks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, ClassVar, TypeVar

from server.events.model import MAX_IDS, Effect, ResourceEvent

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class TrackEvent(ResourceEvent):
    resource: ClassVar[str] = "track"
    plural: ClassVar[str] = "tracks"
    effect: ClassVar[Effect] = Effect.CHANGED


@dataclass(frozen=True, kw_only=True)
class TrackAdded(TrackEvent):
    """Files that came into the library."""

    name: ClassVar[str] = "track:added"
    effect: ClassVar[Effect] = Effect.CREATED


@dataclass(frozen=True, kw_only=True)
class TrackUpdated(TrackEvent):
    """Anything about the tracks changed: a user's edit, the file's tags, an analysis.

    `fields` names the columns that changed in any of them; without names it may be anything.
    """

    name: ClassVar[str] = "track:updated"
    fields: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class TrackMoved(TrackEvent):
    """Files that lie somewhere else now; `moves` holds `{id, from, to}` with paths relative to their directories.

    `fields` names the columns that changed in any of them, as for `track:updated`: a file may come with other tags.
    """

    name: ClassVar[str] = "track:moved"
    moves: tuple[dict[str, Any], ...]
    fields: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class TrackMissing(TrackEvent):
    """Files that a complete walk of their folder didn't find."""

    name: ClassVar[str] = "track:missing"


@dataclass(frozen=True, kw_only=True)
class TrackRestored(TrackEvent):
    """Files that were missing and are there again."""

    name: ClassVar[str] = "track:restored"


@dataclass(frozen=True, kw_only=True)
class TrackDeleted(TrackEvent):
    """Rows that were removed from the library."""

    name: ClassVar[str] = "track:deleted"
    effect: ClassVar[Effect] = Effect.DELETED


def batches(items: Iterable[T], size: int = MAX_IDS) -> Iterator[Sequence[T]]:
    """Runs of at most as many items as one event may carry."""
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch
