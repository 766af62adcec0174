"""What is announced about playlists.

`entries` are as in the API, without their tracks. To replay `added` and `reordered`, take the named entries out where
they stand and put them in at their positions, lowest first; `removed` gives the positions they had.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from server.events.model import Recorded

Json = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class PlaylistCreated(Recorded):
    """A playlist or folder was made; entries it starts with follow as events of their own."""

    name: ClassVar[str] = "playlist:created"
    playlist: Json


@dataclass(frozen=True, kw_only=True)
class PlaylistUpdated(Recorded):
    """Something about a playlist itself changed, not its entries."""

    name: ClassVar[str] = "playlist:updated"
    playlist: Json


@dataclass(frozen=True, kw_only=True)
class PlaylistDeleted(Recorded):
    """A playlist is gone with its entries; what lay in a folder moved up."""

    name: ClassVar[str] = "playlist:deleted"
    id: str


@dataclass(frozen=True, kw_only=True)
class EntryEvent(Recorded):
    playlist_id: str
    entries: tuple[Json, ...]


@dataclass(frozen=True, kw_only=True)
class EntriesAdded(EntryEvent):
    """Entries came in, at the positions they name."""

    name: ClassVar[str] = "playlist:track:added"


@dataclass(frozen=True, kw_only=True)
class EntriesRemoved(EntryEvent):
    """Entries went; each names the position it had before."""

    name: ClassVar[str] = "playlist:track:removed"


@dataclass(frozen=True, kw_only=True)
class EntriesReordered(EntryEvent):
    """Entries stand at other positions now; the others keep their order around them."""

    name: ClassVar[str] = "playlist:track:reordered"


@dataclass(frozen=True, kw_only=True)
class EntriesUpdated(EntryEvent):
    """Notes, cue points, a rating or the track of entries changed."""

    name: ClassVar[str] = "playlist:track:updated"


@dataclass(frozen=True, kw_only=True)
class SmartRefreshed(Recorded):
    """A smart playlist was evaluated and holds other tracks now, or the same ones in another order."""

    name: ClassVar[str] = "playlist:smart:refreshed"
    playlist_id: str
    added: tuple[str, ...]
    removed: tuple[str, ...]
    total: int


@dataclass(frozen=True, kw_only=True)
class SessionStarted(Recorded):
    """A session began; it is the active one until it is finalised."""

    name: ClassVar[str] = "session:started"
    session: Json


@dataclass(frozen=True, kw_only=True)
class SessionTrackPlayed(Recorded):
    """A track was played; `entry` is its new place in the session."""

    name: ClassVar[str] = "session:track:played"
    session: Json
    entry: Json


@dataclass(frozen=True, kw_only=True)
class SessionFinalized(Recorded):
    """A session is over: its duration is fixed and it is read-only."""

    name: ClassVar[str] = "session:finalized"
    session: Json
