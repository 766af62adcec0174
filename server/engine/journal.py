"""What decks do, written down: history, play counts, the session, and what a restart must know of each deck."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from server import errors
from server.clock import Clock
from server.db.database import Database
from server.db.uow import Transaction, UnitOfWork
from server.engine import store
from server.engine.decks import Decks, Moment, Play
from server.events.model import Event
from server.playlists.service import PlaylistService
from server.settings.service import SettingsService
from server.tracks.plays import PlayService

Tx = Transaction[Event]
MAX_DECKS = 64
KEPT_EVERY_MS = 5_000
"""How often the state of a deck that plays is stored: after a crash no more than this is taken from its position."""


class Journal:
    """One writer: the link hands over the engine's events one by one."""

    def __init__(
        self,
        plays: PlayService,
        playlists: PlaylistService,
        settings: SettingsService,
        uow: UnitOfWork[Event],
        database: Database,
        clock: Clock,
    ):
        self._plays = plays
        self._playlists = playlists
        self._settings = settings
        self._uow = uow
        self._database = database
        self._clock = clock
        self._decks = Decks(played_after_ms=0)
        self._kept_at: dict[str, int] = {}
        self._opening = asyncio.Lock()
        self._is_open = False

    async def open(self) -> None:
        """Take up the decks as they were stored, once."""
        async with self._opening:
            if not self._is_open:
                for deck in await store.all_decks(self._database.direct):
                    self._decks.decks[deck.name] = deck
                self._is_open = True

    def close(self) -> None:
        """Forget the decks: from here on another process may know better."""
        self._decks.decks.clear()
        self._kept_at.clear()
        self._is_open = False

    @property
    def has_tracks(self) -> bool:
        return any(deck.track_id is not None for deck in self._decks.decks.values())

    def track_on(self, deck: str) -> str | None:
        return self._decks.track_on(deck)

    def decks_with(self, track_id: str) -> list[str]:
        return self._decks.decks_with(track_id)

    def lost(self) -> None:
        """The link broke."""
        self._decks.lost()

    async def loaded(self, deck: str, track_id: str) -> None:
        """A track of the library was put on a deck."""
        now = self._now(deck)
        await self._read_setting()
        plays = self._decks.loaded(deck, track_id, now)
        async with self._uow() as tx:
            await self._log(tx, plays)
            await self._plays.note_within(tx, track_id, "load", deck, now)
            await self._keep(tx, deck, now)

    async def emptied(self, deck: str) -> None:
        """Something else was put on a deck: what it does from now on is no track's."""
        now = self._now(deck)
        await self._read_setting()
        plays = self._decks.emptied(deck, now)
        async with self._uow() as tx:
            await self._log(tx, plays)
            await store.remove(tx, deck)

    async def updated(self, deck: str, track_id: str | None, position: float | None, *, is_playing: bool) -> None:
        """Where a deck is, in seconds, and whether it plays."""
        now = self._now(deck)
        await self._read_setting()
        before = replace(self._decks.decks[deck]) if deck in self._decks.decks else None
        plays = self._decks.update(deck, track_id, is_playing=is_playing, position=position, now=now)
        if not plays and not (is_playing and now - self._kept_at.get(deck, 0) >= KEPT_EVERY_MS):
            return
        try:
            async with self._uow() as tx:
                await self._log(tx, plays)
                await self._keep(tx, deck, now)
        except errors.MismoError:
            # What couldn't be written (a full disk, a database that is gone) is written with the next update.
            if before is not None:
                self._decks.decks[deck] = before
            else:
                del self._decks.decks[deck]
            raise

    async def _read_setting(self) -> None:
        self._decks.played_after_ms = round(await self._settings.get("played_after_seconds") * 1000)

    def _now(self, deck: str) -> int:
        if deck not in self._decks.decks and len(self._decks.decks) >= MAX_DECKS:
            raise errors.Invalid(f"there are {MAX_DECKS} decks at most")
        return self._clock.now_ms()

    async def _log(self, tx: Tx, plays: Sequence[Play]) -> None:
        """Into the history, the play count and the session, in one transaction with what the deck remembers of it."""
        for play in plays:
            if play.moment is Moment.PLAYED:
                await self._plays.count_within(tx, play.track_id, play.deck, play.at)
                await self._playlists.log_play(tx, play.track_id, play.started_at, None, play.deck)
                continue
            event = "start" if play.moment is Moment.STARTED else "stop"
            await self._plays.note_within(tx, play.track_id, event, play.deck, play.at, play.position)
            if play.has_counted:
                # The session learns how long it was on air.
                seconds = play.on_air_ms / 1000
                await self._playlists.log_play(tx, play.track_id, play.started_at, seconds, play.deck)

    async def _keep(self, tx: Tx, deck: str, now: int) -> None:
        state = self._decks.decks[deck]
        self._kept_at[deck] = now
        if state.track_id is not None:
            await store.put(tx, state, now)
