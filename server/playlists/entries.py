"""What happens to the entries of one playlist, within a transaction: rows, totals and events."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from server import errors, ids
from server.db.database import Connection
from server.db.uow import Transaction
from server.events.model import Event
from server.playlists import events, ranks, store
from server.playlists.model import Entry, Kind, Playlist
from server.tracks.selection import Brief

Tx = Transaction[Event]
# Entries in one event, and how far around a full gap ranks are spread first.
BATCH = 500
_REACH = 64


def draft(playlist: Playlist, brief: Brief, now: int, **values: Any) -> Entry:
    """An entry that has no place yet. A session's keeps the title and artist."""
    is_session = playlist.kind is Kind.SESSION
    return Entry(
        id=ids.new_id(),
        playlist_id=playlist.id,
        rank=0,
        track_id=brief.id,
        duration_ms=milliseconds(brief.duration_seconds),
        title=brief.title if is_session else None,
        artist=brief.artist if is_session else None,
        added_at=now,
        **values,
    )


def milliseconds(seconds: float | None) -> int:
    return round((seconds or 0) * 1000)


async def add(
    tx: Tx, playlist: Playlist, drafts: Sequence[Entry], position: int | None, now: int, *, is_announced: bool = True
) -> list[dict[str, Any]]:
    """Put entries in at a position (None: at the end); returns them as JSON. Raises `Invalid` outside the list."""
    place = playlist.track_count if position is None else position
    if not 0 <= place <= playlist.track_count:
        raise errors.Invalid.field("position", f"must be 0 to {playlist.track_count}")
    given = await make_room(tx, playlist.id, place, len(drafts), playlist.track_count)
    placed = [replace(item, rank=rank) for item, rank in zip(drafts, given, strict=True)]
    await store.insert_entries(tx, placed)
    await store.add_to_totals(tx, playlist.id, len(placed), sum(item.duration_ms for item in placed), now)
    described = [item.as_json(place + offset) for offset, item in enumerate(placed)]
    if is_announced:
        for batch in _batches(described):
            tx.emit(events.EntriesAdded(playlist_id=playlist.id, entries=batch))
    return described


async def remove(tx: Tx, playlist: Playlist, gone: Sequence[Entry], now: int, *, is_announced: bool = True) -> None:
    """Take entries out."""
    if not gone:
        return
    ordered = sorted(gone, key=lambda item: (item.rank, item.id))
    if len(ordered) == 1:
        positions = {ordered[0].id: await store.position_of(tx, ordered[0])}
    else:
        positions = {id_: place for place, (id_, _) in enumerate(await store.ranks(tx, playlist.id))}
    await store.delete_entries(tx, [item.id for item in ordered])
    await store.add_to_totals(tx, playlist.id, -len(ordered), -sum(item.duration_ms for item in ordered), now)
    if is_announced:
        for batch in _batches([_place(item.id, item.track_id, positions[item.id]) for item in ordered]):
            tx.emit(events.EntriesRemoved(playlist_id=playlist.id, entries=batch))


async def move(tx: Tx, playlist: Playlist, entry: Entry, position: int, now: int) -> None:
    """Put one entry at another position; the others keep their order. Raises `Invalid` outside the list."""
    if not 0 <= position < playlist.track_count:
        raise errors.Invalid.field("position", f"must be 0 to {playlist.track_count - 1}")
    present = await store.position_of(tx, entry)
    if position == present:
        return
    # While it still stands in the list itself, what comes after it is one place further on.
    place = position if position < present else position + 1
    (rank,) = await make_room(tx, playlist.id, place, 1, playlist.track_count)
    await store.set_ranks(tx, {entry.id: rank})
    await store.add_to_totals(tx, playlist.id, 0, 0, now)
    moved = (_place(entry.id, entry.track_id, position),)
    tx.emit(events.EntriesReordered(playlist_id=playlist.id, entries=moved))


async def arrange(tx: Tx, playlist: Playlist, track_ids: Sequence[str], now: int) -> None:
    """Bring the list into the order of `track_ids`, which must be exactly the tracks it holds, each as often."""
    members = await store.members(tx, playlist.id)
    waiting: dict[str, deque[tuple[str, int]]] = defaultdict(deque)
    for entry_id, rank, track_id, _ in members:
        waiting[track_id].append((entry_id, rank))
    order: list[tuple[str, int]] = []
    for index, track_id in enumerate(track_ids):
        if not waiting[track_id]:
            raise errors.Invalid.field(f"track_ids[{index}]", "isn't in the playlist, or not so often")
        order.append(waiting[track_id].popleft())
    if len(order) < len(members):
        missing = next(track_id for track_id, left in waiting.items() if left)
        raise errors.Invalid.field("track_ids", f"must hold every track of the playlist; {missing} isn't there")
    changed = ranks.plan([rank for _, rank in order])
    if not changed:
        return
    await store.set_ranks(tx, {order[index][0]: rank for index, rank in changed.items()})
    await store.add_to_totals(tx, playlist.id, 0, 0, now)
    # An event names what moved among the others; in several events only the whole order can be told.
    named = sorted(changed) if len(changed) <= BATCH else range(len(order))
    for batch in _batches([_place(order[index][0], track_ids[index], index) for index in named]):
        tx.emit(events.EntriesReordered(playlist_id=playlist.id, entries=batch))


async def change(tx: Tx, playlist: Playlist, entry: Entry, values: Mapping[str, Any], now: int) -> dict[str, Any]:
    """Change what is said about an entry; the same values again announce nothing. Returns it as JSON."""
    changed = {name: value for name, value in values.items() if getattr(entry, name) != value}
    after = replace(entry, **changed)
    if after.cue_in_ms is not None and after.cue_out_ms is not None and after.cue_in_ms >= after.cue_out_ms:
        raise errors.Invalid.field("cue_out_ms", "must come after cue_in_ms")
    described = after.as_json(await store.position_of(tx, entry))
    if changed:
        await store.update_entry(tx, entry.id, changed)
        await store.add_to_totals(tx, playlist.id, 0, after.duration_ms - entry.duration_ms, now)
        tx.emit(events.EntriesUpdated(playlist_id=playlist.id, entries=(described,)))
    return described


async def make_room(connection: Connection, playlist_id: str, place: int, count: int, total: int) -> list[int]:
    """Ranks for `count` entries before the one that stands at `place` now.

    Where the gap there is too small, neighbours make room: first the nearest, and so on until all are numbered afresh.
    """
    reach = 0
    while True:
        start, stop = max(0, place - reach), min(total, place + reach)
        first = max(0, start - 1)
        around = await store.ranks(connection, playlist_id, offset=first, limit=stop - first + 1)
        before = around[0][1] if start else None
        after = around[stop - first][1] if len(around) > stop - first else None
        given = ranks.spread(stop - start + count, before, after)
        if given is not None:
            break
        reach = reach * 8 or _REACH
    neighbours = [entry_id for entry_id, _ in around[start - first : stop - first]]
    head = place - start
    moved = dict(zip(neighbours, [*given[:head], *given[head + count :]], strict=True))
    await store.set_ranks(connection, moved)
    return given[head : head + count]


def _place(entry_id: str, track_id: str, position: int) -> dict[str, Any]:
    return {"entry_id": entry_id, "position": position, "track_id": track_id}


def _batches(items: Sequence[dict[str, Any]]) -> list[tuple[dict[str, Any], ...]]:
    return [tuple(items[start : start + BATCH]) for start in range(0, len(items), BATCH)]
