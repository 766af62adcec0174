"""Playlists and their entries as values, and how they look in the API."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from server.clock import to_rfc3339


class Kind(StrEnum):
    """`temp` is the one thinking playlist."""

    STATIC = "static"
    SMART = "smart"
    SESSION = "session"
    TEMP = "temp"
    FOLDER = "folder"


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """What a playlist of type `session` knows besides. `date` is an ISO date; times in Unix milliseconds."""

    date: str
    venue: str | None
    started_at: int
    last_played_at: int
    duration_ms: int
    finalized_at: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Playlist:
    """One playlist without its entries. Times in Unix milliseconds; `criteria` as the client gave them."""

    id: str
    kind: Kind
    name: str
    parent_id: str | None
    description: str | None
    color: str | None
    icon: str | None
    criteria: Mapping[str, Any] | None
    is_favorite: bool
    is_readonly: bool
    track_count: int
    total_duration_ms: int
    last_refreshed: int | None
    session: Session | None
    created_at: int
    updated_at: int

    @property
    def is_active_session(self) -> bool:
        return self.session is not None and self.session.finalized_at is None

    def as_json(self) -> dict[str, Any]:
        session = self.session
        return {
            "id": self.id,
            "name": self.name,
            "type": self.kind.value,
            "parent_id": self.parent_id,
            "description": self.description,
            "color": self.color,
            "icon": self.icon,
            "criteria": self.criteria,
            "is_favorite": self.is_favorite,
            # A smart playlist's tracks are never a person's to change.
            "is_readonly": self.is_readonly or self.kind is Kind.SMART,
            "session": session
            and {
                "date": session.date,
                "venue": session.venue,
                "duration_seconds": session.duration_ms / 1000,
                "finalized_at": to_rfc3339(session.finalized_at),
            },
            "track_count": self.track_count,
            "total_duration": self.total_duration_ms / 1000,
            "last_refreshed": to_rfc3339(self.last_refreshed),
            "created_at": to_rfc3339(self.created_at),
            "updated_at": to_rfc3339(self.updated_at),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A track's place in a playlist. `title` and `artist` are what a session keeps of the track."""

    id: str
    playlist_id: str
    rank: int
    track_id: str
    duration_ms: int
    title: str | None = None
    artist: str | None = None
    added_at: int
    played_at: int | None = None
    play_duration_ms: int | None = None
    deck: str | None = None
    notes: str | None = None
    cue_in_ms: int | None = None
    cue_out_ms: int | None = None
    rating_in_context: int | None = None

    def as_json(self, position: int) -> dict[str, Any]:
        """The entry at its dense position (from 0), without its track."""
        return {
            "entry_id": self.id,
            "position": position,
            "track_id": self.track_id,
            "title": self.title,
            "artist": self.artist,
            "added_at": to_rfc3339(self.added_at),
            "played_at": to_rfc3339(self.played_at),
            "play_duration_ms": self.play_duration_ms,
            "deck": self.deck,
            "notes": self.notes,
            "cue_in_ms": self.cue_in_ms,
            "cue_out_ms": self.cue_out_ms,
            "rating_in_context": self.rating_in_context,
        }


# What a person may say about an entry.
REMARKS = ("notes", "cue_in_ms", "cue_out_ms", "rating_in_context")
ENTRY_COLUMNS = (
    "id", "playlist_id", "rank", "track_id", "duration_ms", "title", "artist", "added_at", "played_at",
    "play_duration_ms", "deck", *REMARKS,
)  # fmt: skip
