"""The verbs of hot cues: read them, set them, take them away."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from server import errors
from server.clock import Clock
from server.db.database import Connection, Database
from server.db.uow import Transaction, UnitOfWork
from server.events.model import Event, Recorded
from server.tracks import cue_store as store
from server.tracks.cue import Cue, CueSource, merged
from server.tracks.service import TrackService

Tx = Transaction[Event]


@dataclass(frozen=True, kw_only=True)
class CueUpdated(Recorded):
    """A hot cue was set, or set elsewhere."""

    name: ClassVar[str] = "cue:updated"
    track_id: str
    cue: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class CueDeleted(Recorded):
    """A hot cue was taken away; `cue` is what it was."""

    name: ClassVar[str] = "cue:deleted"
    track_id: str
    cue: dict[str, Any]


class CueNotFound(errors.NotFound):
    """There is no such hot cue."""

    code = "cue_not_found"


class CueService:
    def __init__(self, database: Database, uow: UnitOfWork[Event], tracks: TrackService, clock: Clock):
        self._database = database
        self._uow = uow
        self._tracks = tracks
        self._clock = clock

    async def merged(self, track_id: str) -> list[dict[str, Any]]:
        """One cue for each index, as the API shows them."""
        return [cue.as_json() for cue in merged(await store.of_track(self._database.direct, track_id))]

    async def listed(self, track_id: str, source: CueSource | None) -> list[Cue]:
        """The cues of one source, or one for each index; raises `NotFound` for an unknown track."""
        await self._tracks.row(track_id)
        cues = await store.of_track(self._database.direct, track_id)
        return merged(cues) if source is None else [cue for cue in cues if cue.source is source]

    async def of_track(self, connection: Connection, track_id: str) -> list[Cue]:
        """Every cue of every source."""
        return await store.of_track(connection, track_id)

    async def set_by_hand(self, connection: Connection, track_ids: Sequence[str]) -> set[str]:
        """Which of some tracks have cues that no file brought along."""
        return await store.with_source(connection, track_ids, (CueSource.USER, CueSource.ENGINE))

    async def put(self, track_id: str, cue: Cue) -> Cue:
        """Set one cue; raises `NotFound` for an unknown track."""
        async with self._uow() as tx:
            await self._require(tx, track_id)
            await self.set_within(tx, track_id, [cue])
        return cue

    async def replace(self, track_id: str, source: CueSource, cues: Sequence[Cue]) -> None:
        """Make these the only cues of a source."""
        kept = {cue.index for cue in cues}
        async with self._uow() as tx:
            await self._require(tx, track_id)
            present = await store.of_track(tx, track_id)
            gone = [cue for cue in present if cue.source is source and cue.index not in kept]
            await self._delete(tx, track_id, gone)
            await self.set_within(tx, track_id, cues)

    async def set_within(self, tx: Tx, track_id: str, cues: Sequence[Cue]) -> None:
        """Set cues as part of a larger change; announces only those that differ."""
        present = {(cue.source, cue.index): cue for cue in await store.of_track(tx, track_id)}
        changed = [cue for cue in cues if present.get((cue.source, cue.index)) != cue]
        if changed:
            await store.put(tx, track_id, changed, self._clock.now_ms())
        tx.emit(*(CueUpdated(track_id=track_id, cue=cue.as_json()) for cue in changed))

    async def delete(self, track_id: str, source: CueSource, index: int | None) -> int:
        """Take away one cue of a source (raises `CueNotFound`), or all of them; returns how many there were."""
        async with self._uow() as tx:
            await self._require(tx, track_id)
            found = [
                cue for cue in await store.of_track(tx, track_id) if cue.source is source and index in (None, cue.index)
            ]
            if index is not None and not found:
                raise CueNotFound(f"there is no hot cue {index} of {source.value}")
            await self._delete(tx, track_id, found)
        return len(found)

    async def set_by_engine(self, track_id: str, index: int, position: float) -> None:
        """A cue set on a deck, in seconds. What the user named and coloured there moves along with it."""
        async with self._uow() as tx:
            await self._require(tx, track_id)
            present = [cue for cue in await store.of_track(tx, track_id) if cue.index == index]
            users = [replace(cue, position=position) for cue in present if cue.source is CueSource.USER]
            engines = next((cue for cue in present if cue.source is CueSource.ENGINE), None)
            base = engines or (users[0] if users else Cue(index, CueSource.ENGINE, position))
            set_there = replace(base, source=CueSource.ENGINE, position=position)
            await self.set_within(tx, track_id, [_unlooped(cue) for cue in (set_there, *users)])

    async def removed_by_engine(self, track_id: str, index: int) -> None:
        """A cue taken away on a deck, where the user's own looks the same as the deck's."""
        async with self._uow() as tx:
            await self._require(tx, track_id)
            present = await store.of_track(tx, track_id)
            own = (CueSource.USER, CueSource.ENGINE)
            await self._delete(tx, track_id, [cue for cue in present if cue.index == index and cue.source in own])

    async def belongings(self, tx: Tx, track_ids: Sequence[str]) -> list[dict[str, Any]]:
        """Every cue of some tracks, as `give_back` takes them."""
        found = await store.of_tracks(tx, track_ids)
        return [{"track_id": track_id, "cue": cue.as_json()} for track_id, cue in found]

    async def give_back(self, tx: Tx, belongings: Sequence[Mapping[str, Any]]) -> int:
        """Set cues again that went with their tracks."""
        cues: dict[str, list[Cue]] = defaultdict(list)
        for item in belongings:
            cues[item["track_id"]].append(_from_json(item["cue"]))
        for track_id, own in cues.items():
            await self.set_within(tx, track_id, own)
        return len(belongings)

    async def give_cues(self, tx: Tx, from_track_id: str, to_track_id: str) -> dict[str, Any]:
        """Give a track those cues of another one, by source and index, that it lacks.

        The answer is what `take_cues_back` needs.
        """
        own = {(cue.source, cue.index) for cue in await store.of_track(tx, to_track_id)}
        given = [cue for cue in await store.of_track(tx, from_track_id) if (cue.source, cue.index) not in own]
        await self.set_within(tx, to_track_id, given)
        return {"track_id": to_track_id, "cues": [cue.as_json() for cue in given]}

    async def take_cues_back(self, tx: Tx, record: Mapping[str, Any]) -> None:
        """Take away the cues that were given, unless they were changed since."""
        given = [_from_json(cue) for cue in record["cues"]]
        present = await store.of_track(tx, record["track_id"])
        await self._delete(tx, record["track_id"], [cue for cue in present if cue in given])

    async def _delete(self, tx: Tx, track_id: str, cues: Sequence[Cue]) -> None:
        if cues:
            await store.delete(tx, track_id, cues)
        tx.emit(*(CueDeleted(track_id=track_id, cue=cue.as_json()) for cue in cues))

    async def _require(self, tx: Tx, track_id: str) -> None:
        if not await self._tracks.by_ids(tx, [track_id]):
            raise errors.NotFound(f"there is no track {track_id}")


def _from_json(content: Mapping[str, Any]) -> Cue:
    return Cue(**{**content, "source": CueSource(content["source"])})


def _unlooped(cue: Cue) -> Cue:
    """A loop whose start was moved behind its end is a loop no more."""
    if cue.loop_end is None or cue.loop_end > cue.position:
        return cue
    return replace(cue, is_loop=False, loop_end=None)
