"""When a track stands for another one (duplicates that were resolved): entries follow it, and back again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from server.db.database import Connection
from server.db.uow import Transaction
from server.events.model import Event
from server.playlists import entries, events, store
from server.playlists.entries import milliseconds
from server.playlists.model import REMARKS, Entry, Kind, Playlist
from server.tracks.selection import Brief

Tx = Transaction[Event]
Json = dict[str, Any]


async def entries_of(connection: Connection, track_ids: Sequence[str]) -> list[Entry]:
    """Every entry of some tracks in lists that aren't smart."""
    found = await store.of_tracks(connection, track_ids)
    lists = await store.by_ids(connection, {item.playlist_id for item in found})
    return [item for item in found if lists[item.playlist_id].kind is not Kind.SMART]


async def repoint(tx: Tx, from_track_id: str, to: Brief, *, dedupe: bool, now: int) -> Json:
    """Entries of one track become entries of another, at their places, with their notes and cues.

    With `dedupe`, where the other stands in a static or thinking playlist already, the entry goes instead, and the one
    that stays takes over what wasn't said about it. A session only takes the new id. Returns what `undo` needs.
    """
    record: Json = {"changed": [], "removed": []}
    by_list: dict[str, list[Entry]] = defaultdict(list)
    for item in await entries_of(tx, [from_track_id]):
        by_list[item.playlist_id].append(item)
    for playlist_id in sorted(by_list):
        playlist = await store.get(tx, playlist_id)
        if playlist is None:
            continue
        standing = await store.first_of_track(tx, playlist_id, to.id)
        if dedupe and standing is not None and playlist.kind in (Kind.STATIC, Kind.TEMP):
            await _dedupe(tx, playlist, standing, by_list[playlist_id], record, now)
            continue
        for item in by_list[playlist_id]:
            duration = item.duration_ms if playlist.kind is Kind.SESSION else milliseconds(to.duration_seconds)
            values = {"track_id": to.id, "duration_ms": duration}
            await _change(tx, playlist, item, values, record, now)
    return record


async def _dedupe(tx: Tx, playlist: Playlist, standing: Entry, gone: Sequence[Entry], record: Json, now: int) -> None:
    said: dict[str, Any] = {}
    for item in gone:
        for name in REMARKS:
            if getattr(standing, name) is None and name not in said and getattr(item, name) is not None:
                said[name] = getattr(item, name)
    cues = {name: said.get(name, getattr(standing, name)) for name in ("cue_in_ms", "cue_out_ms")}
    if None not in cues.values() and cues["cue_in_ms"] >= cues["cue_out_ms"]:
        # Taken from two entries, the cue points may contradict each other: then those that stood there stay.
        said = {name: value for name, value in said.items() if name not in cues}
    if said:
        await _change(tx, playlist, standing, said, record, now)
    await entries.remove(tx, playlist, gone, now)
    record["removed"] += [asdict(item) for item in gone]


async def _change(tx: Tx, playlist: Playlist, item: Entry, values: Json, record: Json, now: int) -> None:
    record["changed"].append(
        {
            "entry_id": item.id,
            "playlist_id": playlist.id,
            "before": {name: getattr(item, name) for name in values},
            "after": values,
        }
    )
    await entries.change(tx, playlist, item, values, now)


async def undo(tx: Tx, record: Mapping[str, Any], now: int) -> None:
    """Take it back. An entry or playlist that went meanwhile stays gone; what was changed since stays as it is."""
    for change in record["changed"]:
        playlist = await store.get(tx, change["playlist_id"])
        item = None if playlist is None else await store.entry(tx, playlist.id, change["entry_id"])
        if playlist is None or item is None:
            continue
        values = {
            name: value for name, value in change["before"].items() if getattr(item, name) == change["after"][name]
        }
        await entries.change(tx, playlist, item, values, now)
    for removed in record["removed"]:
        await put_back(tx, Entry(**removed), now)


async def put_back(tx: Tx, item: Entry, now: int) -> bool:
    """Put a removed entry back at its place; False when it is there, or its playlist isn't (or has become a smart one).

    Its rank still says between which entries it stood, unless these were moved meanwhile.
    """
    playlist = await store.get(tx, item.playlist_id)
    if playlist is None or playlist.kind is Kind.SMART or await store.entry(tx, playlist.id, item.id) is not None:
        return False
    await store.insert_entries(tx, [item])
    await store.add_to_totals(tx, playlist.id, 1, item.duration_ms, now)
    described = item.as_json(await store.position_of(tx, item))
    tx.emit(events.EntriesAdded(playlist_id=playlist.id, entries=(described,)))
    return True
