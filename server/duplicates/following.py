"""What stands by a track and follows it when another track takes its place. Implemented by the domains that own it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from server.db.uow import Transaction
from server.events.model import Event

Tx = Transaction[Event]


class Entry(Protocol):
    """A place in a playlist."""

    @property
    def track_id(self) -> str: ...


class PlaylistRepointer(Protocol):
    """The playlists: entries of one track become entries of another."""

    async def entries_of(self, tx: Tx, track_ids: Sequence[str]) -> Sequence[Entry]:
        """The plan: every entry that `repoint` would touch."""

    async def repoint(self, tx: Tx, from_track_id: str, to_track_id: str, *, dedupe: bool) -> dict[str, Any]:
        """Do it; the JSON-ready record is what `undo_repoint` needs."""

    async def undo_repoint(self, tx: Tx, record: Mapping[str, Any]) -> None:
        """Take it back."""


class CueGiver(Protocol):
    """The cues: a track is given those of another one that it lacks (per source and index)."""

    async def give_cues(self, tx: Tx, from_track_id: str, to_track_id: str) -> dict[str, Any]:
        """Do it; the JSON-ready record is what `take_cues_back` needs."""

    async def take_cues_back(self, tx: Tx, record: Mapping[str, Any]) -> None:
        """Take it back."""
