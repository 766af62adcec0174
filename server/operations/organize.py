"""Renaming a selection by its metadata: the plan, which a client may look at first, and the operations it becomes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from server import errors
from server.db.database import Database, Row, as_dict
from server.db.sql import Where
from server.operations.model import Kind, OnConflict, Operation, Options, Place, Request
from server.operations.outcome import known_of
from server.operations.planning import candidates
from server.operations.service import MAX_BATCH, OperationService
from server.operations.template import Template
from server.operations.transfer import folded
from server.tracks.listing import parse_sort
from server.tracks.service import TrackService

_MOST_COPIES = 100  # names with a number behind them that are looked through for a track's own


@dataclass(frozen=True, slots=True)
class Renaming:
    """One track of the selection; `problem` says why it stays where it is (None when it moves)."""

    track_id: str
    source: Place
    target: Place
    problem: str | None

    def as_json(self) -> dict[str, Any]:
        return {
            "track_id": self.track_id,
            "from": self.source.as_json(),
            "to": self.target.as_json(),
            "problem": self.problem,
        }


class Organizer:
    def __init__(self, database: Database, tracks: TrackService, operations: OperationService):
        self._database = database
        self._tracks = tracks
        self._operations = operations

    async def plan(self, filters: Where, template: Template, on_conflict: OnConflict) -> list[Renaming]:
        """What would be renamed to what, for every track that passes the filters and isn't there already."""
        found = await self._tracks.matching(self._database.direct, filters, parse_sort([]), MAX_BATCH + 1)
        if len(found) > MAX_BATCH:
            raise errors.Invalid.field("filter", f"selects more than {MAX_BATCH} tracks")
        rows = await self._tracks.by_ids(self._database.direct, [match.id for match in found])
        plan = plan_renamings(rows, template, on_conflict)
        return [item for item in plan if item.source != item.target]

    async def queue(self, plan: Sequence[Renaming], on_conflict: OnConflict) -> list[Operation]:
        """Queue a plan, each file by itself."""
        options = Options(on_conflict=on_conflict)
        requests = [Request(Kind.MOVE, item.track_id, item.target, options) for item in plan if item.problem is None]
        return await self._operations.queue(requests, is_atomic=False) if requests else []


def plan_renamings(rows: Sequence[Row], template: Template, on_conflict: OnConflict) -> list[Renaming]:
    """Pure. Of several tracks that would get the same name, one that has it already keeps it, else the first gets it.

    The others get the next free name (`Title (2).mp3`), or stay for the reason `same_target`. A track that has such a
    name keeps it, so that organizing again finds nothing to do.
    """
    wanted = []
    for row in rows:
        source = known_of(row).place
        wanted.append((row, source, Place(source.library_directory_id, template.path(as_dict(row)))))
    taken: set[tuple[str, str]] = set()
    settled: dict[str, Renaming] = {}
    for row, source, target in sorted(wanted, key=lambda item: item[1] != item[2]):
        if row["missing_since"] is None and source in _names(target, on_conflict) and _key(source) not in taken:
            taken.add(_key(source))
            settled[row["id"]] = Renaming(row["id"], source, source, None)
    for row, source, target in wanted:
        if row["id"] in settled:
            continue
        free = next((name for name in candidates(target, on_conflict) if _key(name) not in taken), None)
        if row["missing_since"] is not None:
            settled[row["id"]] = Renaming(row["id"], source, target, "missing")
        elif free is None:
            settled[row["id"]] = Renaming(row["id"], source, target, "same_target")
        else:
            taken.add(_key(free))
            settled[row["id"]] = Renaming(row["id"], source, free, None)
    return [settled[row["id"]] for row in rows]


def _names(target: Place, on_conflict: OnConflict) -> set[Place]:
    return set(islice(candidates(target, on_conflict), _MOST_COPIES))


def _key(place: Place) -> tuple[str, str]:
    return place.library_directory_id, folded(place.path)
