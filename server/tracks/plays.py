"""The verbs of playing: note what decks do with tracks, count what was long enough on air, tell the history."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from enum import StrEnum
from typing import Any

from server import errors
from server.clock import Clock, to_rfc3339
from server.db.database import Database
from server.db.uow import Transaction, UnitOfWork
from server.events.model import Event
from server.settings.service import SettingsService
from server.tracks import play_store as store
from server.tracks.service import TrackService

Tx = Transaction[Event]
# Rows of a track's history that other domains know of: `{at, event, from?, to?, fields?}`, `at` in Unix milliseconds.
HistoryProvider = Callable[[str, int], Awaitable[Sequence[dict[str, Any]]]]
# Who keeps plays too is told of one: the track, when it began (Unix milliseconds), seconds on air, the deck.
PlayListener = Callable[[Tx, str, int, float, str | None], Awaitable[None]]


# Clocks of other machines may be set wrong by as much.
_AHEAD_MS = 86_400_000


def moment_of(name: str, at: int | None, now: int) -> int:
    """When something was played (Unix milliseconds): at the time given, or now.

    Raises `Invalid`, naming the field, for a time in the future.
    """
    if at is not None and at > now + _AHEAD_MS:
        raise errors.Invalid.field(name, "must not lie in the future")
    return now if at is None else at


class Playback(StrEnum):
    """What a deck says; `complete`: it came to the track's end."""

    START = "start"
    STOP = "stop"
    COMPLETE = "complete"


class PlayService:
    """Implements what the engine reports plays to, and the same over HTTP for engines that Mismo doesn't watch."""

    def __init__(
        self,
        database: Database,
        uow: UnitOfWork[Event],
        tracks: TrackService,
        settings: SettingsService,
        clock: Clock,
    ):
        self._database = database
        self._uow = uow
        self._tracks = tracks
        self._settings = settings
        self._clock = clock
        # Others who know of a track's past (what became of its file) add themselves here.
        self.history_providers: list[HistoryProvider] = []
        # Of plays that are told over HTTP; who reports for an engine tells others itself.
        self.play_listeners: list[PlayListener] = []

    # -- what decks do, as the engine reports it; times in Unix milliseconds, positions in seconds

    async def note_within(
        self, tx: Tx, track_id: str, event: str, deck: str | None, at: int, position: float | None = None
    ) -> None:
        """Note what a deck did (`load`, `start`, `stop`) as part of a larger change."""
        # A deck may go on playing a track that was deleted meanwhile.
        if await self._tracks.by_ids(tx, [track_id]):
            await store.add(tx, track_id, event, deck, position, at)

    async def count_within(self, tx: Tx, track_id: str, deck: str | None, at: int) -> None:
        """Counts as a play, in the track's count, its last play and its history, as part of a larger change."""
        if await self._tracks.count_play(tx, track_id, at):
            await store.add(tx, track_id, "played", deck, None, at)

    # -- the same over HTTP, where nobody else measures what was on air

    async def playback(
        self, track_id: str, event: Playback, deck: str | None, at: int | None, position: float | None
    ) -> bool:
        """Note what a deck did; whether that made it a play. Raises `NotFound`.

        A track counts once for each start: when it ends, or stops after `played_after_seconds` on air.
        """
        moment = moment_of("at", at, self._clock.now_ms())
        needed = round(await self._settings.get("played_after_seconds") * 1000)
        async with self._uow() as tx:
            await self._require(tx, track_id)
            since = await store.since_start(tx, track_id, deck, moment) if event is not Playback.START else []
            await store.add(tx, track_id, event.value, deck, position, moment)
            if not since or any(row["event"] != Playback.START for row in since):
                return False
            began: int = since[0]["at"]
            if event is Playback.STOP and moment - began < needed:
                return False
            await self.count_within(tx, track_id, deck, moment)
            for listener in self.play_listeners:
                await listener(tx, track_id, began, (moment - began) / 1000, deck)
        return True

    async def load(self, track_id: str, deck: str | None, at: int | None) -> None:
        """Note that a track was loaded into a deck. Raises `NotFound`."""
        moment = moment_of("at", at, self._clock.now_ms())
        async with self._uow() as tx:
            await self._require(tx, track_id)
            await store.add(tx, track_id, "load", deck, None, moment)

    async def history(self, track_id: str, limit: int) -> list[dict[str, Any]]:
        """What happened to a track, latest first; raises `NotFound`."""
        await self._tracks.row(track_id)
        own = [dict(row) for row in await store.latest(self._database.direct, track_id, limit)]
        others = [row for provider in self.history_providers for row in await provider(track_id, limit)]
        latest = sorted([*own, *others], key=lambda row: row["at"], reverse=True)[:limit]
        return [{**row, "at": to_rfc3339(row["at"])} for row in latest]

    async def belongings(self, tx: Tx, track_ids: Sequence[str]) -> list[dict[str, Any]]:
        """What decks did with some tracks, as `give_back` takes it."""
        return [dict(row) for row in await store.of_tracks(tx, track_ids)]

    async def give_back(self, tx: Tx, belongings: Sequence[Mapping[str, Any]]) -> int:
        """Put back what went with its tracks; the counts are in the tracks themselves."""
        for item in belongings:
            await store.add(tx, item["track_id"], item["event"], item["deck"], item["position"], item["at"])
        return len(belongings)

    async def _require(self, tx: Tx, track_id: str) -> None:
        if not await self._tracks.by_ids(tx, [track_id]):
            raise errors.NotFound(f"there is no track {track_id}")
