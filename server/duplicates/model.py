"""A group of tracks with the same audio, and which of them to keep. Pure."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import orjson

from server.clock import to_rfc3339
from server.db.database import Row

_NAMESPACE = uuid.UUID("6f1d4c0e-8a52-5d0b-9b57-3c1f5a0e7d21")
_TAGS = (
    "title", "artist", "album", "album_artist", "genre", "year", "date", "track_number", "disc_number", "composer",
    "remixer", "label", "isrc", "grouping", "comment", "tag_bpm", "tag_key", "replaygain",
)  # fmt: skip


_SET_BY_USER = ("user_rating", "user_energy_level", "user_bpm", "user_key", "color_tag", "overrides", "last_played")
# The columns of a track that its group follows from, and its rank among the copies.
COLUMNS = (
    "pk", "id", "audio_hash", "duplicate_group_id", "library_directory_id", "file_size", "missing_since",
    "has_artwork", "has_lyrics", "is_favorite", "play_count", "tags", "date_added", *_TAGS, *_SET_BY_USER,
)  # fmt: skip


class Status(StrEnum):
    OPEN = "open"
    RESOLVED = "resolved"
    IGNORED = "ignored"


def group_id(audio_hash: str) -> str:
    """The id of the group of an audio hash (UUID version 5)."""
    return str(uuid.uuid5(_NAMESPACE, audio_hash))


@dataclass(frozen=True, slots=True)
class Group:
    """`total_bytes` and `reclaimable_bytes` count the files that are there; times in Unix milliseconds."""

    id: str
    audio_hash: str
    status: Status
    track_count: int
    total_bytes: int
    reclaimable_bytes: int
    created_at: int
    updated_at: int

    def as_json(self, suggestion: Suggestion) -> dict[str, Any]:
        """The group as the API shows it."""
        return {
            "id": self.id,
            "audio_hash": self.audio_hash,
            "status": self.status,
            "track_count": self.track_count,
            "total_bytes": self.total_bytes,
            "reclaimable_bytes": self.reclaimable_bytes,
            "suggested_track_id": suggestion.track_id,
            "reasons": list(suggestion.reasons),
            "created_at": to_rfc3339(self.created_at),
            "updated_at": to_rfc3339(self.updated_at),
        }


def from_row(row: Row) -> Group:
    return Group(
        row["id"], row["audio_hash"], Status(row["status"]), row["track_count"], row["total_bytes"],
        row["reclaimable_bytes"], row["created_at"], row["updated_at"],
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Copy:
    """A track of a group, with what lies outside its row: whether its directory can be reached and how much it is
    preferred, and in how many places of playlists it stands.
    """

    row: Mapping[str, Any]
    is_reachable: bool
    priority: int
    entries: int

    @property
    def id(self) -> str:
        track_id: str = self.row["id"]
        return track_id

    @property
    def is_present(self) -> bool:
        return self.row["missing_since"] is None and self.is_reachable


class Criterion(StrEnum):
    """What makes one copy better than another."""

    PRESENT = "present"
    DIRECTORY = "directory"
    TAGS = "tags"
    USER_DATA = "user_data"
    PLAYS = "plays"
    AGE = "age"
    YOUTH = "youth"


class Policy(StrEnum):
    """Named orders of criteria."""

    DEFAULT = "default"
    OLDEST = "oldest"
    NEWEST = "newest"
    MOST_PLAYED = "most_played"
    BEST_TAGGED = "best_tagged"


_DEFAULT = (Criterion.DIRECTORY, Criterion.TAGS, Criterion.USER_DATA, Criterion.AGE)
# Whatever is preferred, a copy that isn't there is never kept instead of one that is.
ORDERS: dict[Policy, tuple[Criterion, ...]] = {
    Policy.DEFAULT: (Criterion.PRESENT, *_DEFAULT),
    Policy.OLDEST: (Criterion.PRESENT, Criterion.AGE, *_DEFAULT),
    Policy.NEWEST: (Criterion.PRESENT, Criterion.YOUTH, *_DEFAULT),
    Policy.MOST_PLAYED: (Criterion.PRESENT, Criterion.PLAYS, *_DEFAULT),
    Policy.BEST_TAGGED: (Criterion.PRESENT, Criterion.TAGS, *_DEFAULT),
}


def _user_data(copy: Copy) -> int:
    row = copy.row
    count = sum(row[name] is not None for name in _SET_BY_USER) + len(orjson.loads(row["tags"]))
    return count + int(row["is_favorite"]) + int(row["play_count"] > 0) + copy.entries


def _tags(copy: Copy) -> int:
    row = copy.row
    return sum(row[name] not in (None, "") for name in _TAGS) + 2 * int(row["has_artwork"]) + int(row["has_lyrics"])


_VALUES: dict[Criterion, Callable[[Copy], int]] = {
    Criterion.PRESENT: lambda copy: int(copy.is_present),
    Criterion.DIRECTORY: lambda copy: copy.priority,
    Criterion.TAGS: _tags,
    Criterion.USER_DATA: _user_data,
    Criterion.PLAYS: lambda copy: int(copy.row["play_count"]),
    Criterion.AGE: lambda copy: -int(copy.row["date_added"]),
    Criterion.YOUTH: lambda copy: int(copy.row["date_added"]),
}
_WORDS = {
    Criterion.PRESENT: "its file is there",
    Criterion.DIRECTORY: "its directory has the higher priority",
    Criterion.TAGS: "it has the richer tags and artwork",
    Criterion.USER_DATA: "it has more plays, ratings, marks and places in lists",
    Criterion.PLAYS: "it was played more often",
    Criterion.AGE: "it was in the library first",
    Criterion.YOUTH: "it came into the library last",
}


@dataclass(frozen=True, slots=True)
class Ranked:
    """A copy with the value of each criterion, in the order in which they count."""

    copy: Copy
    values: tuple[tuple[Criterion, int], ...]


@dataclass(frozen=True, slots=True)
class Suggestion:
    """The copy to keep, and why it ranks before the next one."""

    track_id: str
    reasons: tuple[str, ...]


def rank(copies: Sequence[Copy], policy: Policy = Policy.DEFAULT) -> list[Ranked]:
    """The copies, best first; of equals the one with the smaller id, so that the order is always the same."""
    order = ORDERS[policy]
    ranked = [Ranked(copy, tuple((criterion, _VALUES[criterion](copy)) for criterion in order)) for copy in copies]
    return sorted(ranked, key=lambda item: (tuple(-value for _, value in item.values), item.copy.id))


def suggest(ranked: Sequence[Ranked]) -> Suggestion:
    """The first of a ranking, with the criterion that decided over the second."""
    first = ranked[0]
    for (criterion, value), (_, other) in zip(first.values, ranked[1].values if ranked[1:] else (), strict=False):
        if value != other:
            return Suggestion(first.copy.id, (_WORDS[criterion],))
    return Suggestion(first.copy.id, ("the copies are equal; the first one is as good as any",))


def sizes(rows: Sequence[Mapping[str, Any]]) -> tuple[int, int]:
    """(bytes of the files that are there, bytes that are freed at least when one of them is kept)."""
    present = [int(row["file_size"]) for row in rows if row["missing_since"] is None]
    return sum(present), sum(present) - max(present, default=0)
