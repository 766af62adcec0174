"""The conversation with the engine: its questions answered, its events taken in, and what it is owed sent later."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from server import errors, log
from server.analysis.service import AnalysisService
from server.analysis.stems import StemsNotReady
from server.clock import Clock
from server.db.database import Database
from server.db.uow import Transaction, UnitOfWork
from server.engine import store
from server.engine.decks import Decks, Moment, Play
from server.engine.events import DeckState
from server.engine.info import Refused, TrackInfo, cue_json
from server.engine.link import EngineLink
from server.engine.messages import Refusal, answer, refusal
from server.events.bus import Bus
from server.events.model import Entry, Event, Transient
from server.playlists.service import PlaylistService
from server.settings.service import SettingsService
from server.tracks.cues import CueService
from server.tracks.plays import PlayService

logger = log.get(__name__)
Tx = Transaction[Event]
MAX_OWED = 1000
RETRY_SECONDS = 1.0
CLIENT_ID = "engine"
_INTERESTING = (
    "analysis:complete",
    "analysis:stage",
    "analysis:stems:ready",
    "cue:updated",
    "cue:deleted",
    "track:updated",
)


@dataclass(frozen=True, slots=True)
class Owed:
    """A reply that was promised: the request it answers, and whether stems were asked for too."""

    track_id: str
    request_id: Any
    wants_stems: bool


class EngineService:
    """Handles the link's messages; as a service, it follows the event log for what the engine is owed."""

    name = "engine conversation"

    def __init__(
        self,
        *,
        link: EngineLink,
        info: TrackInfo,
        analyses: AnalysisService,
        cues: CueService,
        plays: PlayService,
        playlists: PlaylistService,
        settings: SettingsService,
        bus: Bus,
        uow: UnitOfWork[Event],
        database: Database,
        clock: Clock,
    ):
        self._link = link
        self._info = info
        self._analyses = analyses
        self._cues = cues
        self._plays = plays
        self._playlists = playlists
        self._settings = settings
        self._bus = bus
        self._uow = uow
        self._database = database
        self._clock = clock
        self._decks = Decks(played_after_ms=0)
        self._owed: list[Owed] = []
        self._stems_owed: list[Owed] = []
        self._beat_offsets: dict[str, float | None] = {}
        self._news: asyncio.Queue[Entry] = asyncio.Queue()
        link.handler = self
        bus.attach(self)

    # -- a listener of the bus

    def recorded(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            if entry.name in _INTERESTING and (self._owed or self._stems_owed or self._decks.decks):
                self._news.put_nowait(entry)

    def transient(self, event: Transient, ts: int) -> None:
        """Progress is nothing to the engine."""

    # -- the service

    async def run(self) -> None:
        try:
            await self._talk()
        finally:
            # Another process may go on with them; whoever takes up the conversation reads them anew.
            self._decks.decks.clear()

    async def _talk(self) -> None:
        await self._recall()
        while True:
            entry = await self._news.get()
            try:
                await self._follow(entry)
            except errors.MismoError as error:
                logger.warning("the engine couldn't be told of a change", change=entry.name, error=error.detail)

    async def _recall(self) -> None:
        """Learn what was on the decks when the conversation ended."""
        while True:
            try:
                for deck in await store.all_decks(self._database.direct):
                    self._decks.decks.setdefault(deck.name, deck)
            except errors.Unavailable as error:
                logger.warning("what is on the decks can't be read; trying again", error=str(error))
                await asyncio.sleep(RETRY_SECONDS)
            else:
                return

    async def _follow(self, entry: Entry) -> None:
        data = entry.data
        if entry.name.startswith("analysis:"):
            await self._pay(set(data.get("track_ids", [])) | {data.get("track_id")})
        elif entry.name.startswith("cue:"):
            await self._tell_cues(data["track_id"])
        else:
            for track_id in data["ids"]:
                await self._tell_beat_offset(track_id)

    async def _pay(self, track_ids: set[Any]) -> None:
        """Send what was promised for these tracks, if it is there now."""
        due = [owed for owed in self._owed if owed.track_id in track_ids]
        for owed in due:
            reply, is_still_owed = await self._info.answer(owed.track_id, owed.request_id)
            if is_still_owed:
                continue
            self._owed.remove(owed)
            await self._link.send(reply)
            if owed.wants_stems and reply["success"]:
                await self._offer_stems(owed)
        for owed in [owed for owed in self._stems_owed if owed.track_id in track_ids]:
            self._stems_owed.remove(owed)
            await self._offer_stems(owed)

    async def _offer_stems(self, owed: Owed) -> None:
        """Send the stems if they are there; else have them made, and they stay owed."""
        try:
            stems = await self._analyses.stems(owed.track_id)
        except StemsNotReady:
            self._remember(self._stems_owed, owed)
            await self._analyses.ask_for_stems(owed.track_id, CLIENT_ID)
            return
        files = {name: str(path.absolute()) for name, path in stems.files.items()}
        await self._link.send(answer(owed.request_id, {"type": "stemsReady", "trackId": owed.track_id, "stems": files}))

    @staticmethod
    def _remember(where: list[Owed], owed: Owed) -> None:
        where.append(owed)
        if len(where) > MAX_OWED:
            where.pop(0)

    async def _tell_cues(self, track_id: str) -> None:
        for deck in self._decks.decks_with(track_id):
            cues = [cue_json(cue) for cue in await self._cues.merged(track_id)]
            await self._link.send({"type": "hotCuesUpdated", "deck": deck, "trackId": track_id, "hotCues": cues})

    async def _tell_beat_offset(self, track_id: str) -> None:
        decks = self._decks.decks_with(track_id)
        if not decks:
            return
        offset = await self._info.first_beat_offset(track_id)
        if track_id in self._beat_offsets and self._beat_offsets[track_id] != offset:
            for deck in decks:
                await self._link.send(
                    {"type": "updateFirstBeatOffset", "deck": deck, "trackId": track_id, "firstBeatOffset": offset}
                )
        self._beat_offsets[track_id] = offset

    # -- the handler of the link

    async def handle(self, name: str, content: Mapping[str, Any]) -> Mapping[str, Any] | None:
        if name == "getTrackInfo":
            return await self.track_info(content)
        if name == "deckStateUpdate":
            await self._deck_update(content)
        elif name in ("trackLoaded", "trackLoadRequested"):
            await self._load(name, content)
        elif name in ("cuePointSet", "cuePointRemoved"):
            return await self._cue(name, content)
        else:
            logger.info("the engine says", message=dict(content))
        return None

    async def disconnected(self) -> None:
        self._owed.clear()
        self._stems_owed.clear()

    async def track_info(self, content: Mapping[str, Any]) -> dict[str, Any]:
        """The reply to `getTrackInfo`; what isn't analysed yet is owed, and so are stems."""
        owed = Owed(content["track_id"], content["request_id"], content["stems"])
        # Noted before the look-up: an analysis that ends in between must find it.
        self._remember(self._owed, owed)
        reply, is_owed = await self._info.answer(owed.track_id, owed.request_id)
        if not is_owed and owed in self._owed:
            self._owed.remove(owed)
            if owed.wants_stems and reply["success"]:
                self._remember(self._stems_owed, owed)
                self._news.put_nowait(Entry(0, 0, "analysis:stage", {"track_ids": [owed.track_id]}))
        return reply

    async def _load(self, name: str, content: Mapping[str, Any]) -> None:
        try:
            await self._info.find(content["track_id"])
        except Refused as error:
            logger.warning(
                "the engine loads a track that can't be played", track=content["track_id"], reason=str(error)
            )
            return
        await self._info.have_analysed(content["track_id"])
        if name == "trackLoaded" and content["success"]:
            deck, now = content["deck"], self._clock.now_ms()
            plays = self._decks.loaded(deck, content["track_id"], now)
            async with self._uow() as tx:
                await self._log(tx, plays)
                await self._plays.note_within(tx, content["track_id"], "load", deck, now)
                await self._keep(tx, deck)
            self._beat_offsets[content["track_id"]] = await self._info.first_beat_offset(content["track_id"])

    async def _cue(self, name: str, content: Mapping[str, Any]) -> dict[str, Any] | None:
        track_id = self._decks.track_on(content["deck"])
        if track_id is None:
            return refusal(f"no track is loaded on deck {content['deck']}", None)
        if not content["success"]:
            return None
        try:
            if name == "cuePointSet":
                await self._cues.set_by_engine(track_id, content["index"], content["position"])
            else:
                await self._cues.removed_by_engine(track_id, content["index"])
        except errors.NotFound:
            return refusal(Refusal.NOT_FOUND, None, track_id)
        return None

    async def _deck_update(self, content: Mapping[str, Any]) -> None:
        self._decks.played_after_ms = round(await self._settings.get("played_after_seconds") * 1000)
        deck = content["deck"]
        plays = self._decks.update(
            deck,
            content["track_id"],
            is_playing=content["playing"],
            position=content["position"],
            now=self._clock.now_ms(),
        )
        self._bus.publish(
            DeckState(
                subject=deck,
                deck=deck,
                track_id=self._decks.track_on(deck),
                position=content["position"],
                playing=content["playing"],
            )
        )
        if plays:
            async with self._uow() as tx:
                await self._log(tx, plays)
                await self._keep(tx, deck)

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

    async def _keep(self, tx: Tx, deck: str) -> None:
        """Store what a restart must know, so that a track on air isn't counted twice."""
        state = self._decks.decks[deck]
        if state.track_id is not None:
            await store.put(tx, state, self._clock.now_ms())
