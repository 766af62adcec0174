"""What events say may have changed, and which smart playlists that concerns: for which tracks, and whether in order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from server.events.model import Entry
from server.playlists.model import Playlist
from server.playlists.pending import Mark
from server.playlists.rules import LimitBy
from server.playlists.smart import criteria_of

_MISSING = frozenset({"missing_since", "library_directory_id"})
# What some events change about tracks; those that aren't here say so themselves, or it may be anything. Groups of
# duplicates aren't: a track that joins or leaves one is updated.
_COLUMNS = {
    "track:missing": _MISSING,
    "library:media:connected": _MISSING,
    "library:media:disconnected": _MISSING,
    "library:directory:added": _MISSING,
    "library:directory:removed": _MISSING,
}
_TELL_COLUMNS = {"track:updated", "track:moved", "track:restored"}
_ENTRIES = {"playlist:track:added", "playlist:track:removed"}


@dataclass(frozen=True, slots=True)
class Change:
    """What one event says. `columns` of tracks (None: any); `track_ids` it was about (None: it may be any).

    `playlist_id`: the list that holds other tracks now. `is_new`: the tracks came; `is_less`: they are gone.
    `is_immediate`: it follows from what has waited already.
    """

    at: int
    columns: frozenset[str] | None = frozenset()
    track_ids: frozenset[str] | None = None
    playlist_id: str | None = None
    is_new: bool = False
    is_less: bool = False
    is_immediate: bool = False


def change_of(entry: Entry) -> Change | None:
    """What an event says about tracks or the members of lists; None when nothing."""
    data, at = entry.data, entry.ts
    ids = frozenset(data["ids"]) if "ids" in data else None
    if entry.name in _TELL_COLUMNS:
        return Change(at, frozenset(data["fields"]) if data.get("fields") else None, ids)
    if entry.name in _COLUMNS:
        return Change(at, _COLUMNS[entry.name], ids)
    if entry.name == "track:added":
        return Change(at, track_ids=ids, is_new=True)
    if entry.name == "track:deleted":
        return Change(at, track_ids=ids, is_less=True)
    if entry.name in _ENTRIES:
        return Change(at, track_ids=_tracks(data["entries"]), playlist_id=data["playlist_id"])
    if entry.name == "playlist:track:updated":
        # An entry may stand for another track now, and doesn't say for which it stood.
        return Change(at, playlist_id=data["playlist_id"])
    if entry.name == "playlist:deleted":
        return Change(at, playlist_id=data["id"])
    if entry.name == "session:track:played":
        return Change(at, track_ids=_tracks([data["entry"]]), playlist_id=data["session"]["id"])
    if entry.name == "playlist:smart:refreshed":
        ids = frozenset((*data["added"], *data["removed"]))
        return Change(at, track_ids=ids, playlist_id=data["playlist_id"], is_immediate=True) if ids else None
    return None


def _tracks(entries: Iterable[dict[str, str]]) -> frozenset[str]:
    return frozenset(entry["track_id"] for entry in entries)


def marks(lists: Sequence[Playlist], changes: Sequence[Change]) -> list[Mark]:
    """For every list that some changes may concern: since when, and what to look at."""
    return [mark for playlist in lists if (mark := _mark(playlist, changes)) is not None]


def _mark(playlist: Playlist, changes: Sequence[Change]) -> Mark | None:
    criteria = criteria_of(playlist)
    columns, sorted_by = criteria.columns, criteria.sort_columns
    # Where the list ends depends on every track before: no track can be looked at alone.
    is_whole = criteria.limit is not None and criteria.limit_by is not LimitBy.COUNT
    found: Mark | None = None
    for change in changes:
        touched = change.columns is None or bool(change.columns & columns)
        if change.is_less:
            # Tracks that were deleted leave by themselves, but others may follow them in, or have been like them.
            if criteria.limit is None and not criteria.track_ids & (change.track_ids or criteria.track_ids):
                continue
            track_ids = None
        elif change.is_new or touched:
            is_model = bool(criteria.track_ids & (change.track_ids or criteria.track_ids))
            track_ids = None if is_model or is_whole else change.track_ids
        elif change.playlist_id is not None and change.playlist_id in criteria.playlist_ids:
            track_ids = None if is_whole else change.track_ids
        else:
            continue
        is_order = change.columns is None or bool(change.columns & sorted_by)
        first = None if change.is_immediate else change.at
        mark = Mark(playlist.id, track_ids, is_order=is_order, first=first, last=change.at)
        found = mark if found is None else found.joined(mark)
    return found
