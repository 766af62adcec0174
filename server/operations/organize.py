"""Renaming a selection by its metadata: the plan, which a client may look at first, and the operations it becomes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from server import errors
from server.db.database import Database, Row, as_dict
from server.db.sql import Where
from server.operations.model import Kind, OnConflict, Operation, Options, Place, Request
from server.operations.outcome import known_of
from server.operations.service import MAX_BATCH, OperationService
from server.operations.template import Template
from server.operations.transfer import folded
from server.tracks.listing import parse_sort
from server.tracks.service import TrackService


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

    async def plan(self, filters: Where, template: Template) -> list[Renaming]:
        """What would be renamed to what, for every track that passes the filters and isn't there already."""
        found = await self._tracks.matching(self._database.direct, filters, parse_sort([]), MAX_BATCH + 1)
        if len(found) > MAX_BATCH:
            raise errors.Invalid.field("filter", f"selects more than {MAX_BATCH} tracks")
        rows = await self._tracks.by_ids(self._database.direct, [match.id for match in found])
        plan = plan_renamings(rows, template)
        return [item for item in plan if item.source != item.target]

    async def queue(self, plan: Sequence[Renaming], on_conflict: OnConflict) -> list[Operation]:
        """Queue a plan, each file by itself."""
        options = Options(on_conflict=on_conflict)
        requests = [
            Request(Kind.MOVE, item.track_id, item.target, options)
            for item in plan
            if item.problem is None or (item.problem == "same_target" and on_conflict is OnConflict.SUFFIX)
        ]
        return await self._operations.queue(requests, is_atomic=False) if requests else []


def plan_renamings(rows: Sequence[Row], template: Template) -> list[Renaming]:
    """Pure. Of several tracks that would get the same name, the first gets it."""
    taken: set[tuple[str, str]] = set()
    plan = []
    for row in rows:
        source = known_of(row).place
        target = Place(source.library_directory_id, template.path(as_dict(row)))
        key = (target.library_directory_id, folded(target.path))
        problem = "missing" if row["missing_since"] is not None else "same_target" if key in taken else None
        taken.add(key)
        plan.append(Renaming(row["id"], source, target, problem))
    return plan
