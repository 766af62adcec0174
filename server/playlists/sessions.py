"""Sessions: what was played at a gig, in order, with times; begun by the first play, finished by hand or by silence."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from server import errors, ids
from server.clock import Clock
from server.db.database import Database
from server.db.uow import Transaction, UnitOfWork
from server.events.model import Event
from server.playlists import entries, events, store
from server.playlists.changeable import ReadOnly, WrongType, existing
from server.playlists.model import Entry, Kind, Playlist
from server.playlists.rows import fresh
from server.settings.service import SettingsService
from server.tracks.plays import PlayService, moment_of
from server.tracks.selection import Brief
from server.tracks.service import TrackService

Tx = Transaction[Event]
Json = dict[str, Any]
_HOUR_MS = 3_600_000


class SessionActive(errors.Conflict):
    """There is an active session; finalise it first."""

    code = "session_active"


class Sessions:
    def __init__(
        self,
        database: Database,
        uow: UnitOfWork[Event],
        tracks: TrackService,
        plays: PlayService,
        settings: SettingsService,
        clock: Clock,
    ):
        self._database = database
        self._uow = uow
        self._tracks = tracks
        self._plays = plays
        self._settings = settings
        self._clock = clock

    async def active(self) -> Playlist:
        """The session that is going on; raises `NotFound`."""
        found = await store.active_session(self._database.direct)
        if found is None:
            raise errors.NotFound("there is no active session")
        return found

    async def start(self, venue: str | None = None, date: str | None = None) -> Playlist:
        """Begin a session; raises `SessionActive` (409) while another one goes on."""
        async with self._uow() as tx:
            now = self._clock.now_ms()
            await self._expire(tx, now)
            if await store.active_session(tx) is not None:
                raise SessionActive
            return await self._begin(tx, now, venue, date)

    async def _begin(self, tx: Tx, now: int, venue: str | None = None, date: str | None = None) -> Playlist:
        day = date or _local_date(now)
        row = fresh(
            ids.new_id(), Kind.SESSION, f"Session {day}", now,
            session_date=day, venue=venue, started_at=now, last_played_at=now, session_duration_ms=0,
        )  # fmt: skip
        await store.insert(tx, row)
        playlist = await existing(tx, row["id"])
        tx.emit(events.SessionStarted(session=playlist.as_json()))
        return playlist

    async def add_play(
        self,
        playlist_id: str,
        track_id: str,
        played_at: int | None,
        duration: float | None,
        notes: str | None,
        deck: str | None,
    ) -> tuple[Json, bool]:
        """Write down by hand that a track was played, which counts, however short it was.

        Returns the entry, and whether it is new: the same play (track and `played_at`) told again only learns its
        duration and notes.
        """
        async with self._uow() as tx:
            playlist = await existing(tx, playlist_id)
            if playlist.kind is not Kind.SESSION:
                raise WrongType("plays belong to sessions")
            if playlist.is_readonly:
                raise ReadOnly
            brief = (await self._tracks.briefs(tx, [track_id])).get(track_id)
            if brief is None:
                raise errors.Invalid.field("track_id", f"there is no track {track_id}")
            at = moment_of("played_at", played_at, self._clock.now_ms())
            if (known := await store.play(tx, playlist.id, track_id, at)) is not None:
                return await self._learn(tx, playlist, known, duration, notes), False
            await self._plays.count_within(tx, track_id, deck, at)
            return await self._append(tx, playlist, brief, at, duration, deck, notes), True

    async def log_play(
        self,
        tx: Tx,
        track_id: str,
        played_at: int,
        duration: float | None = None,
        deck: str | None = None,
        *,
        has_counted: bool = False,
    ) -> Json | None:
        """Write a play into the active session, which begins with it when there is none. Times in ms, seconds on air.

        The same play (track and `played_at`) told again only learns its duration. None when it was on air for less
        than the setting `played_after_seconds` (unless it `has_counted` all the same), when it began so long ago that
        a session with it would be over, or when it isn't a track.
        """
        shortest: float = await self._settings.get("played_after_seconds")
        brief = (await self._tracks.briefs(tx, [track_id])).get(track_id)
        if brief is None or (duration is not None and duration < shortest and not has_counted):
            return None
        await self._expire(tx, min(played_at, self._clock.now_ms()))  # other clocks may be fast
        playlist = await store.active_session(tx)
        known = None if playlist is None else await store.play(tx, playlist.id, track_id, played_at)
        if playlist is None or known is None:
            if played_at + await self._silence_ms() <= self._clock.now_ms():
                return None
            playlist = playlist or await self._begin(tx, played_at)
            return await self._append(tx, playlist, brief, played_at, duration, deck, None)
        return await self._learn(tx, playlist, known, duration)

    async def _learn(
        self, tx: Tx, playlist: Playlist, play: Entry, duration: float | None, notes: str | None = None
    ) -> Json:
        """What is told of a play that is known already."""
        values: Json = {} if duration is None else {"play_duration_ms": entries.milliseconds(duration)}
        if notes is not None:
            values["notes"] = notes
        if not values:
            return play.as_json(await store.position_of(tx, play))
        described = await entries.change(tx, playlist, play, values, self._clock.now_ms())
        await self._measure(tx, playlist)
        return described

    async def _append(
        self,
        tx: Tx,
        playlist: Playlist,
        brief: Brief,
        played_at: int,
        duration: float | None,
        deck: str | None,
        notes: str | None,
    ) -> Json:
        now = self._clock.now_ms()
        length = None if duration is None else entries.milliseconds(duration)
        draft = entries.draft(
            playlist, brief, now, played_at=played_at, play_duration_ms=length, deck=deck, notes=notes
        )
        # A play that is told late stands where it was played.
        position = await store.position_of_play(tx, playlist.id, played_at)
        (described,) = await entries.add(tx, playlist, [draft], position, now, is_announced=False)
        session = await self._measure(tx, playlist)
        tx.emit(events.SessionTrackPlayed(session=session.as_json(), entry=described))
        return described

    async def _measure(self, tx: Tx, playlist: Playlist) -> Playlist:
        """Set a session's duration and last play from its entries."""
        assert playlist.session is not None
        first, last = await store.session_span(tx, playlist.id)
        latest = await store.last_play(tx, playlist.id)
        await store.update(
            tx,
            playlist.id,
            {
                "session_duration_ms": 0 if first is None or last is None else last - first,
                "last_played_at": max(playlist.session.started_at, latest or 0),
            },
        )
        return await existing(tx, playlist.id)

    # -- the end

    async def finalize(self, playlist_id: str) -> Playlist:
        """End a session: its duration is fixed and it is read-only. Once more changes nothing."""
        async with self._uow() as tx:
            playlist = await existing(tx, playlist_id)
            if playlist.kind is not Kind.SESSION:
                raise WrongType("only a session is finalised")
            if playlist.is_readonly:
                return playlist
            return await self._finalize(tx, playlist)

    async def _finalize(self, tx: Tx, playlist: Playlist) -> Playlist:
        assert playlist.session is not None
        now = self._clock.now_ms()
        await self._measure(tx, playlist)
        finalized_at = playlist.session.finalized_at or now
        await store.update(tx, playlist.id, {"finalized_at": finalized_at, "is_readonly": True, "updated_at": now})
        after = await existing(tx, playlist.id)
        tx.emit(events.SessionFinalized(session=after.as_json()))
        return after

    async def set_readonly(self, tx: Tx, playlist: Playlist, is_readonly: bool) -> None:
        """A session that is over may be reopened for corrections, and closed again; that doesn't make it active."""
        if playlist.is_active_session:
            raise errors.Invalid.field("is_readonly", "the session isn't over; finalise it")
        if is_readonly:
            await self._measure(tx, playlist)

    async def expire(self) -> Playlist | None:
        """Finalise the active session when it has been silent for too long, also while the server was off."""
        async with self._uow() as tx:
            return await self._expire(tx, self._clock.now_ms())

    async def _expire(self, tx: Tx, now: int) -> Playlist | None:
        playlist = await store.active_session(tx)
        if playlist is None or now < await self.silent_until(playlist):
            return None
        return await self._finalize(tx, playlist)

    async def silent_until(self, playlist: Playlist) -> int:
        """When a session ends by itself if nothing more is played, in Unix milliseconds."""
        assert playlist.session is not None
        return playlist.session.last_played_at + await self._silence_ms()

    async def _silence_ms(self) -> int:
        hours: float = await self._settings.get("session_timeout_hours")
        return round(hours * _HOUR_MS)

    async def due_at(self) -> int | None:
        """When the active session ends by itself; None when there is none."""
        playlist = await store.active_session(self._database.direct)
        return None if playlist is None else await self.silent_until(playlist)


def _local_date(now: int) -> str:
    """The day of a moment where the server stands: a gig belongs to the evening on which it began."""
    return datetime.fromtimestamp(now / 1000, UTC).astimezone().date().isoformat()
