"""The verbs of duplicates: look at groups, resolve them, take a resolution back, ignore and reopen them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson

from server import errors, ids
from server.clock import Clock
from server.db.database import Connection, Database, Row, as_dict
from server.db.uow import Transaction, UnitOfWork
from server.duplicates import merging, store
from server.duplicates.events import DuplicateDetected, DuplicateResolved
from server.duplicates.following import CueGiver, PlaylistRepointer
from server.duplicates.grouping import Changes, Grouper
from server.duplicates.model import Copy, Group, Policy, Ranked, Status, suggest
from server.duplicates.store import Resolution
from server.duplicates.suggesting import Suggester
from server.events.model import Event
from server.operations.model import Kind, Operation, Options, Request, State
from server.operations.service import OperationService
from server.tracks.service import TrackService

Tx = Transaction[Event]
Json = dict[str, Any]
MAX_GROUPS = 1000


class NotOpen(errors.Conflict):
    """This group isn't open."""

    code = "group_not_open"


class NotResolved(errors.Conflict):
    """This group has no resolution to undo."""

    code = "group_not_resolved"


class CanonicalMissing(errors.Conflict):
    """The track to keep has no file, so the files of the others can't be deleted."""

    code = "canonical_missing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """How a group is to be resolved; without a canonical track the policy picks."""

    canonical_track_id: str | None = None
    policy: Policy = Policy.DEFAULT
    merge_metadata: bool = True
    update_playlists: bool = True
    dedupe_playlists: bool = False
    delete_files: bool = False
    dry_run: bool = False


class _OnlyTrying(Exception):
    """Carries the result of a dry run out of the transaction, which is rolled back."""

    def __init__(self, result: Json):
        self.result = result


class DuplicateService:
    """`playlists` and `cues` are None where there are none."""

    def __init__(
        self,
        database: Database,
        uow: UnitOfWork[Event],
        tracks: TrackService,
        operations: OperationService,
        suggester: Suggester,
        grouper: Grouper,
        clock: Clock,
        playlists: PlaylistRepointer | None = None,
        cues: CueGiver | None = None,
    ):
        self._database = database
        self._uow = uow
        self._tracks = tracks
        self._operations = operations
        self._suggester = suggester
        self._grouper = grouper
        self._clock = clock
        self._playlists = playlists
        self._cues = cues

    # -- reading

    async def page(
        self, statuses: Sequence[str], sort: Sequence[str], limit: int, offset: int
    ) -> tuple[list[Json], int]:
        """Groups as JSON, each with the copy that is suggested, and how many groups there are."""
        async with self._database.read() as connection:
            groups, total = await store.page(connection, statuses, sort, limit, offset)
            ranked = await self._ranked(Transaction(connection), groups)
        return [group.as_json(suggest(ranked[group.audio_hash])) for group in groups], total

    async def get(self, group_id: str) -> Json:
        """A group with its tracks, best first, and what each ranks by. Raises `NotFound`."""
        async with self._database.read() as connection:
            group = await _existing(connection, group_id)
            ranked = (await self._ranked(Transaction(connection), [group]))[group.audio_hash]
        resources = await self._tracks.resources([item.copy.id for item in ranked])
        tracks = [
            {
                "rank": number,
                "ranked_by": {criterion.value: value for criterion, value in item.values},
                "track": orjson.Fragment(resources[item.copy.id]),
            }
            for number, item in enumerate(ranked, 1)
            if item.copy.id in resources
        ]
        return {**group.as_json(suggest(ranked)), "tracks": tracks}

    async def statistics(self) -> Json:
        """Groups, copies beyond the first, and bytes, in all and by status."""
        by_status = await store.statistics(self._database.direct)
        totals = {name: sum(item[name] for item in by_status) for name in ("groups", "tracks", "bytes", "reclaimable")}
        return {
            "groups": totals["groups"],
            "copies": totals["tracks"] - totals["groups"],
            "total_bytes": totals["bytes"],
            "reclaimable_bytes": totals["reclaimable"],
            "by_status": {item["status"]: item["groups"] for item in by_status},
        }

    async def _ranked(
        self, tx: Tx, groups: Sequence[Group], policy: Policy = Policy.DEFAULT
    ) -> dict[str, list[Ranked]]:
        rows: dict[str, list[Row]] = {group.audio_hash: [] for group in groups}
        for row in await self._tracks.by_hashes(tx, list(rows)):
            rows[row["audio_hash"]].append(row)
        return await self._suggester.ranked(tx, rows, policy)

    async def groups_of(self, filters: Mapping[str, Any]) -> list[str]:
        """The open groups with a track that passes the tracks' filters."""
        where = self._tracks.condition({**filters, "is_duplicate": True})
        found = await self._tracks.groups_where(self._database.direct, where)
        return [group.id for group in await store.by_ids(self._database.direct, found) if group.status is Status.OPEN]

    # -- deriving anew

    async def scan(self) -> Changes:
        """Derive all groups anew from the tracks; when the log was followed rightly, nothing changes."""
        hashes = {
            *await self._tracks.all_shared_audio(self._database.direct),
            *await store.all_hashes(self._database.direct),
        }
        changes = Changes()
        ordered = sorted(hashes)
        for start in range(0, len(ordered), MAX_GROUPS):
            async with self._uow() as tx:
                changes.add(await self._grouper.regroup(tx, ordered[start : start + MAX_GROUPS]))
        return changes

    # -- deciding

    async def ignore(self, group_id: str) -> Json:
        """Keep all copies and stop asking. Raises `NotFound`, `NotOpen`."""
        return await self._turn(group_id, Status.OPEN, Status.IGNORED)

    async def reopen(self, group_id: str) -> Json:
        """Ask again. Raises `NotFound`, and `Conflict` for a group that isn't ignored or resolved."""
        return await self._turn(group_id, Status.IGNORED, Status.OPEN)

    async def _turn(self, group_id: str, expected: Status, status: Status) -> Json:
        async with self._uow() as tx:
            group = await _existing(tx, group_id)
            if group.status is not expected:
                raise NotOpen(f"this group is {group.status}, not {expected}")
            return await self._put_status(tx, group, status)

    async def _put_status(self, tx: Tx, group: Group, status: Status) -> Json:
        after = replace(group, status=status, updated_at=self._clock.now_ms())
        await store.put(tx, [after])
        described = after.as_json(suggest((await self._ranked(tx, [after]))[after.audio_hash]))
        tx.emit((DuplicateDetected if status is Status.OPEN else DuplicateResolved)(group=described))
        return described

    # -- resolving

    async def resolve(self, group_id: str, choice: Choice) -> Json:
        """Let one copy stand for all: merge, repoint, delete as chosen, in one transaction and journalled operations.

        A dry run does the same and is rolled back, so that it answers exactly what would happen. Raises `NotFound`,
        `NotOpen`, `CanonicalMissing`, and `Invalid` for a canonical track that isn't in the group.
        """
        try:
            async with self._uow() as tx:
                result = await self._resolve(tx, await _existing(tx, group_id), choice)
                if choice.dry_run:
                    raise _OnlyTrying(result)
        except _OnlyTrying as trying:
            return trying.result
        return result

    async def _resolve(self, tx: Tx, group: Group, choice: Choice) -> Json:
        if group.status is not Status.OPEN:
            raise NotOpen(f"this group is {group.status}")
        ranked = (await self._ranked(tx, [group], choice.policy))[group.audio_hash]
        canonical, reasons = _chosen(ranked, choice)
        others = [item.copy for item in ranked if item.copy.id != canonical.id]
        if choice.delete_files and not canonical.is_present:
            raise CanonicalMissing
        before, after = {}, {}
        if choice.merge_metadata:
            after = merging.merged(canonical.row, [copy.row for copy in others])
            before = {name: canonical.row[name] for name in after}
            (row,) = await self._tracks.by_ids(tx, [canonical.id])
            await self._tracks.merge(tx, row, after)
        cues, playlists = [], []
        for copy in others:
            if self._cues is not None and choice.merge_metadata:
                cues.append(await self._cues.give_cues(tx, copy.id, canonical.id))
            if self._playlists is not None and choice.update_playlists:
                playlists.append(
                    await self._playlists.repoint(tx, copy.id, canonical.id, dedupe=choice.dedupe_playlists)
                )
        deleted = [copy for copy in others if copy.is_present] if choice.delete_files else []
        # The audio is checked again right before: a file whose audio differs by then is never deleted.
        options = Options(audio_hash=group.audio_hash)
        requests = [Request(Kind.DELETE, copy.id, None, options) for copy in deleted]
        operations = await self._operations.enqueue(tx, requests, is_atomic=False) if requests else []
        record = {
            "before": before,
            "after": after,
            "cues": cues,
            "playlists": playlists,
            "operations": [operation.id for operation in operations],
        }
        now = self._clock.now_ms()
        resolution = Resolution(ids.new_id(), group.id, canonical.id, record, now, None)
        await store.add_resolution(tx, resolution)
        described = await self._put_status(tx, group, Status.RESOLVED)
        return {
            "dry_run": choice.dry_run,
            "resolution_id": None if choice.dry_run else resolution.id,
            "group": described,
            "canonical_track_id": canonical.id,
            "reasons": list(reasons),
            "merged": {name: {"before": before[name], "after": after[name]} for name in after},
            "playlists": playlists,
            "cues": cues,
            "deletions": [_deletion(copy.row) for copy in deleted],
            "operations": [] if choice.dry_run else [operation.as_json() for operation in operations],
        }

    async def resolve_many(self, group_ids: Sequence[str], choice: Choice) -> list[Json]:
        """Each group in a transaction of its own, all under one policy; a group that can't be resolved says why."""
        results = []
        for group_id in group_ids:
            try:
                results.append(await self.resolve(group_id, choice))
            except (errors.Conflict, errors.NotFound, errors.Invalid) as error:
                results.append({"group_id": group_id, "error": {"code": error.code, "detail": error.detail}})
        return results

    async def undo(self, group_id: str) -> Json:
        """Take the latest resolution back whole: values, entries, and (by operations that are queued) the files.

        Raises `NotFound`, `NotResolved`, and `Conflict` when a file can't come back.
        """
        resolution = await store.latest_resolution(self._database.direct, group_id)
        if resolution is not None:
            await self._operations.finished(resolution.record["operations"])
        async with self._uow() as tx:
            group = await _existing(tx, group_id)
            resolution = await store.latest_resolution(tx, group_id)
            if group.status is not Status.RESOLVED or resolution is None:
                raise NotResolved
            record = resolution.record
            for playlists in reversed(record["playlists"]):
                assert self._playlists is not None
                await self._playlists.undo_repoint(tx, playlists)
            for cues in reversed(record["cues"]):
                assert self._cues is not None
                await self._cues.take_cues_back(tx, cues)
            for row in await self._tracks.by_ids(tx, [resolution.canonical_track_id]):
                values = merging.taken_back(as_dict(row), record["before"], record["after"])
                await self._tracks.merge(tx, row, values)
            operations = await self._bring_back(tx, record["operations"])
            await store.mark_undone(tx, resolution.id, self._clock.now_ms())
            described = await self._put_status(tx, group, Status.OPEN)
        return {
            "resolution_id": resolution.id,
            "group": described,
            "operations": [operation.as_json() for operation in operations],
        }

    async def _bring_back(self, tx: Tx, operation_ids: Sequence[str]) -> list[Operation]:
        done = [item.id for item in await self._operations.by_ids(operation_ids) if item.state is State.DONE]
        return await self._operations.enqueue_undo(tx, done) if done else []


async def _existing(connection: Connection, group_id: str) -> Group:
    group = await store.get(connection, group_id)
    if group is None:
        raise errors.NotFound(f"there is no group {group_id}")
    return group


def _chosen(ranked: Sequence[Ranked], choice: Choice) -> tuple[Copy, tuple[str, ...]]:
    if choice.canonical_track_id is None:
        return ranked[0].copy, suggest(ranked).reasons
    for item in ranked:
        if item.copy.id == choice.canonical_track_id:
            return item.copy, ("it was chosen",)
    raise errors.Invalid.field("canonical_track_id", "isn't a track of this group")


def _deletion(row: Mapping[str, Any]) -> Json:
    return {
        "track_id": row["id"],
        "library_directory_id": row["library_directory_id"],
        "path": row["relative_path"],
        "bytes": row["file_size"],
    }
