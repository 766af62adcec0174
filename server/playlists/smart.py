"""Smart playlists: what their criteria match now, compared with what is stored, and brought up to date."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson

from server import errors, ids
from server.clock import Clock
from server.db.database import Connection
from server.db.uow import Transaction
from server.events.model import Event
from server.playlists import events, ranks, rules, store
from server.playlists.compile import Compiler
from server.playlists.entries import milliseconds
from server.playlists.model import Entry, Kind, Playlist
from server.playlists.rules import Criteria, LimitBy
from server.tracks.listing import parse_sort
from server.tracks.selection import Match
from server.tracks.service import TrackService

Tx = Transaction[Event]


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What an evaluation changed: ids of tracks that came and went, and how many there are now."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    total: int


def criteria_of(playlist: Playlist) -> Criteria:
    """The criteria of a smart playlist, which were valid when they were stored."""
    assert playlist.criteria is not None
    return _parsed(orjson.dumps(playlist.criteria))


@lru_cache(maxsize=1024)
def _parsed(content: bytes) -> Criteria:
    return rules.parse(orjson.loads(content))


class SmartLists:
    def __init__(self, tracks: TrackService, clock: Clock):
        self._tracks = tracks
        self._clock = clock

    def compiler(self, connection: Connection) -> Compiler:
        return Compiler(connection.dialect, self._clock.now_ms())

    async def evaluate(self, connection: Connection, criteria: Criteria) -> list[Match]:
        """The tracks that criteria match, in their order, cut at their limit."""
        where = self.compiler(connection).rule(criteria.rule)
        by_count = int(criteria.limit) if criteria.limit and criteria.limit_by is LimitBy.COUNT else None
        found = await self._tracks.matching(connection, where, parse_sort(list(criteria.sort)), by_count)
        return found if by_count is not None else cut(found, criteria)

    async def count(self, connection: Connection, criteria: Criteria) -> int:
        """How many tracks the rule matches, whatever the limit."""
        return await self._tracks.count_where(connection, self.compiler(connection).rule(criteria.rule))

    async def wanted(self, connection: Connection, playlist: Playlist) -> list[Match] | None:
        """What a smart playlist should hold, or None when that is what is stored."""
        wanted = await self.evaluate(connection, criteria_of(playlist))
        members = await store.members(connection, playlist.id)
        is_changed = [(item.id, milliseconds(item.duration_seconds)) for item in wanted] != [
            (track_id, duration) for _, _, track_id, duration in members
        ]
        return wanted if is_changed else None

    async def refresh(self, tx: Tx, playlist: Playlist) -> Refreshed:
        """Evaluate a smart playlist, and store and announce what is different."""
        return await self.put(tx, playlist, await self.evaluate(tx, criteria_of(playlist)))

    async def put(self, tx: Tx, playlist: Playlist, wanted: Sequence[Match]) -> Refreshed:
        """Let a smart playlist hold what an evaluation found, maybe a moment ago."""
        now = self._clock.now_ms()
        members = await store.members(tx, playlist.id)
        present = {track_id: (entry_id, rank) for entry_id, rank, track_id, _ in members}
        # One that was deleted since the evaluation has left every list already, and must not come back.
        known = await self._tracks.briefs(tx, [match.id for match in wanted if match.id not in present])
        wanted = [match for match in wanted if match.id in present or match.id in known]
        wanted_ids = {match.id for match in wanted}
        changed = ranks.plan([present[match.id][1] if match.id in present else None for match in wanted])
        removed = tuple(track_id for _, _, track_id, _ in members if track_id not in wanted_ids)
        new = [
            member(playlist.id, match, changed[index], now)
            for index, match in enumerate(wanted)
            if match.id not in present
        ]
        await store.delete_entries(tx, [present[track_id][0] for track_id in removed])
        moved = {present[wanted[index].id][0]: rank for index, rank in changed.items() if wanted[index].id in present}
        await store.set_ranks(tx, moved)
        await store.insert_entries(tx, new)
        await self._set_durations(tx, wanted, members)
        total_ms = sum(milliseconds(match.duration_seconds) for match in wanted)
        values = {"track_count": len(wanted), "total_duration_ms": total_ms, "last_refreshed": now}
        await store.update(tx, playlist.id, values)
        result = Refreshed(tuple(item.track_id for item in new), removed, len(wanted))
        if result.added or result.removed or moved:
            tx.emit(
                events.SmartRefreshed(
                    playlist_id=playlist.id, added=result.added, removed=result.removed, total=result.total
                )
            )
        return result

    async def _set_durations(
        self, tx: Tx, wanted: Sequence[Match], members: Iterable[tuple[str, int, str, int]]
    ) -> None:
        durations = {match.id: milliseconds(match.duration_seconds) for match in wanted}
        await store.set_durations(
            tx,
            {
                entry_id: durations[track_id]
                for entry_id, _, track_id, duration in members
                if durations.get(track_id, duration) != duration
            },
        )

    async def check(self, tx: Tx, playlist_id: str | None, criteria: Criteria, places: Mapping[str, Any]) -> None:
        """That what criteria refer to exists, and that no smart playlist comes to depend on itself.

        Raises `Invalid` with the place. Locks the smart playlists, since two changes may close a circle together.
        """
        known = await self._tracks.briefs(tx, sorted(criteria.track_ids))
        for wanted in sorted(criteria.track_ids - known.keys()):
            raise errors.Invalid.field(place_of(places, wanted), f"there is no track {wanted}")
        if not criteria.playlist_ids:
            return
        others = {item.id: item for item in await store.of_kind(tx, Kind.SMART)}
        found = await store.by_ids(tx, criteria.playlist_ids)
        for wanted in criteria.playlist_ids:
            place = place_of(places, wanted)
            if wanted == playlist_id:
                raise errors.Invalid.field(place, "is this playlist itself")
            if wanted not in found:
                raise errors.Invalid.field(place, f"there is no playlist {wanted}")
            if found[wanted].kind is Kind.FOLDER:
                raise errors.Invalid.field(place, "is a folder")
            if playlist_id is not None and playlist_id in _reached(wanted, others):
                raise errors.Invalid.field(place, f"{found[wanted].name!r} depends on this playlist")


def place_of(content: Any, value: str, place: str = "") -> str:
    """Where in criteria a condition with a value stands, such as `all[1].not.value`."""
    if isinstance(content, Mapping):
        if content.get("value") == value:
            return f"{place}.value" if place else "value"
        inner = [(f"{place}.{name}" if place else name, part) for name, part in content.items()]
    else:
        inner = [(f"{place}[{index}]", part) for index, part in enumerate(content)]
    for inner_place, part in inner:
        if isinstance(part, (dict, list)) and (found := place_of(part, value, inner_place)):
            return found
    return ""


def _reached(start: str, lists: Mapping[str, Playlist]) -> set[str]:
    """Every playlist that one depends on, through however many others; itself included."""
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        current = waiting.pop()
        if current not in seen:
            seen.add(current)
            if current in lists:
                waiting += criteria_of(lists[current]).playlist_ids
    return seen


def in_order(lists: Sequence[Playlist]) -> list[Playlist]:
    """Smart playlists so that each comes after those it depends on."""
    by_id = {item.id: item for item in lists}
    done: dict[str, Playlist] = {}

    def visit(item: Playlist) -> None:
        if item.id in done:
            return
        for other in sorted(criteria_of(item).playlist_ids & by_id.keys() - {item.id}):
            visit(by_id[other])
        done[item.id] = item

    for item in lists:
        visit(item)
    return list(done.values())


def cut(found: Sequence[Match], criteria: Criteria) -> list[Match]:
    """As many of the first tracks as fit under the limit; the first that doesn't ends the list."""
    if criteria.limit is None:
        return list(found)
    if criteria.limit_by is LimitBy.COUNT:
        return list(found[: int(criteria.limit)])
    taken: list[Match] = []
    total = 0.0
    for match in found:
        total += (match.duration_seconds or 0) if criteria.limit_by is LimitBy.DURATION else match.file_size
        if total > criteria.limit:
            break
        taken.append(match)
    return taken


def member(playlist_id: str, match: Match, rank: int, now: int) -> Entry:
    return Entry(
        id=ids.new_id(),
        playlist_id=playlist_id,
        rank=rank,
        track_id=match.id,
        duration_ms=milliseconds(match.duration_seconds),
        added_at=now,
    )
