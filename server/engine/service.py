"""The conversation with the engine: its questions answered, its events taken in, and what it is owed sent later."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from server import errors, log
from server.analysis.service import AnalysisService
from server.analysis.stems import StemsNotReady
from server.engine.events import DeckState
from server.engine.info import Refused, TrackInfo, cue_json
from server.engine.journal import Journal
from server.engine.link import EngineLink, Peer
from server.engine.messages import Refusal, answer, refusal
from server.engine.promises import Promise, Promises
from server.events.bus import Bus
from server.events.model import Entry, Transient
from server.tracks.cues import CueService

logger = log.get(__name__)
RETRY_SECONDS = 1.0
CLIENT_ID = "engine"
_OF_ANALYSIS = ("analysis:complete", "analysis:stage", "analysis:stems:ready")
_OF_TRACKS = ("cue:updated", "cue:deleted", "track:updated")


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
        journal: Journal,
        bus: Bus,
    ):
        self._link = link
        self._info = info
        self._analyses = analyses
        self._cues = cues
        self._journal = journal
        self._bus = bus
        self._promises = Promises()
        # Events of the log, and ids of tracks about which something was promised just now.
        self._news: asyncio.Queue[Entry | str] = asyncio.Queue()
        link.handler = self
        bus.attach(self)

    # -- a listener of the bus

    def recorded(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            is_awaited = self._promises if entry.name in _OF_ANALYSIS else self._journal.has_tracks
            if is_awaited and entry.name in (*_OF_ANALYSIS, *_OF_TRACKS):
                self._news.put_nowait(entry)

    def transient(self, event: Transient, ts: int) -> None:
        """Progress is nothing to the engine."""

    # -- the service

    async def run(self) -> None:
        try:
            await self._talk()
        finally:
            # Another process may go on with them; whoever takes up the conversation reads them anew.
            self._journal.close()

    async def _talk(self) -> None:
        await self._recall()
        while True:
            news = await self._news.get()
            try:
                await self._follow(news)
            except errors.MismoError as error:
                logger.warning("the engine couldn't be told of a change", error=error.detail)

    async def _recall(self) -> None:
        """Learn what was on the decks when the conversation ended."""
        while True:
            try:
                await self._journal.open()
            except errors.Unavailable as error:
                logger.warning("what is on the decks can't be read; trying again", error=str(error))
                await asyncio.sleep(RETRY_SECONDS)
            else:
                return

    async def _follow(self, news: Entry | str) -> None:
        if isinstance(news, str):
            await self._keep_promises({news})
        elif news.name in _OF_ANALYSIS:
            await self._keep_promises({*news.data.get("track_ids", ()), news.data.get("track_id")})
        elif news.name in ("cue:updated", "cue:deleted"):
            await self._tell_cues(news.data["track_id"])
        elif _says_beat_offset(news):
            for track_id in news.data["ids"]:
                await self._tell_beat_offset(track_id)

    async def _keep_promises(self, track_ids: set[Any]) -> None:
        """Send what was promised for these tracks, if it is there now."""
        for promise in self._promises.of(track_ids):
            if promise.is_answered:
                await self._offer_stems(promise)
                continue
            try:
                found = await self._info.find(promise.track_id)
            except Refused as error:
                reply = refusal(error.reason, promise.request_id, promise.track_id)
            else:
                if found.beats is None:
                    continue
                reply = answer(promise.request_id, self._info.content(found))
            if self._promises.keep(promise):
                await promise.peer.send(reply)
                if promise.wants_stems and reply["success"]:
                    await self._promise_stems(promise)

    async def _promise_stems(self, promise: Promise) -> None:
        stems = replace(promise, is_answered=True)
        self._promises.add(stems)
        await self._offer_stems(stems)

    async def _offer_stems(self, promise: Promise) -> None:
        """Send the stems if they are there; else have them made, and they stay promised."""
        try:
            stems = await self._analyses.stems(promise.track_id)
        except StemsNotReady:
            await self._analyses.ask_for_stems(promise.track_id, CLIENT_ID)
            return
        except errors.NotFound:
            self._promises.keep(promise)  # nothing is left to promise
            return
        if self._promises.keep(promise):
            files = {name: str(path.absolute()) for name, path in stems.files.items()}
            content = {"type": "stemsReady", "trackId": promise.track_id, "stems": files}
            await promise.peer.send(answer(promise.request_id, content))

    async def _tell_cues(self, track_id: str) -> None:
        for deck in self._journal.decks_with(track_id):
            cues = [cue_json(cue) for cue in await self._cues.merged(track_id)]
            await self._link.send({"type": "hotCuesUpdated", "deck": deck, "trackId": track_id, "hotCues": cues})

    async def _tell_beat_offset(self, track_id: str) -> None:
        for deck in self._journal.decks_with(track_id):
            offset = await self._info.first_beat_offset(track_id)
            await self._link.send(
                {"type": "updateFirstBeatOffset", "deck": deck, "trackId": track_id, "firstBeatOffset": offset}
            )

    # -- the handler of the link

    async def answer(self, content: Mapping[str, Any], peer: Peer) -> None:
        """The reply to `getTrackInfo`; what isn't analysed yet is promised, and so are stems."""
        track_id, request_id, wants_stems = content["track_id"], content["request_id"], content["stems"]
        reply, is_promised = await self._info.answer(track_id, request_id)
        await peer.send(reply)
        if is_promised or (wants_stems and reply["success"]):
            self._promises.add(Promise(track_id, request_id, wants_stems, not is_promised, peer))
            # An analysis that ended between the look-up and the promise was announced to nobody: look again.
            self._news.put_nowait(track_id)

    async def take(self, name: str, content: Mapping[str, Any], peer: Peer) -> None:
        await self._journal.open()
        try:
            if name == "deckStateUpdate":
                await self._deck_update(content)
            elif name in ("trackLoaded", "trackLoadRequested"):
                await self._load(name, content)
            elif name in ("cuePointSet", "cuePointRemoved"):
                await self._cue(name, content)
            else:
                logger.info("the engine says", message=dict(content))
        except (errors.Invalid, errors.NotFound) as error:
            await peer.send(refusal(error.detail, content.get("request_id")))

    async def disconnected(self, peer: Peer) -> None:
        self._promises.forget(peer)
        self._journal.lost()

    async def _load(self, name: str, content: Mapping[str, Any]) -> None:
        track_id, deck = content["track_id"], content["deck"]
        is_loaded = name == "trackLoaded" and content["success"]
        logger.info("the engine loads a track", message=name, track=track_id, deck=deck, success=content.get("success"))
        try:
            await self._info.have_analysed(track_id)
        except errors.NotFound:
            if is_loaded:
                await self._journal.emptied(deck)
            raise errors.NotFound(Refusal.NOT_FOUND.value) from None
        if is_loaded:
            await self._journal.loaded(deck, track_id)

    async def _cue(self, name: str, content: Mapping[str, Any]) -> None:
        track_id = self._journal.track_on(content["deck"])
        if track_id is None:
            raise errors.NotFound(f"no track is loaded on deck {content['deck']}")
        if not content["success"]:
            return
        try:
            if name == "cuePointSet":
                await self._cues.set_by_engine(track_id, content["index"], content["position"])
            else:
                await self._cues.removed_by_engine(track_id, content["index"])
        except errors.NotFound:  # it was deleted while the deck had it
            raise errors.NotFound(Refusal.NOT_FOUND.value) from None

    async def _deck_update(self, content: Mapping[str, Any]) -> None:
        deck, position, is_playing = content["deck"], content["position"], content["playing"]
        on_it = content["track_id"] or self._journal.track_on(deck)
        self._bus.publish(DeckState(subject=deck, deck=deck, track_id=on_it, position=position, playing=is_playing))
        await self._journal.updated(deck, content["track_id"], position, is_playing=is_playing)


def _says_beat_offset(entry: Entry) -> bool:
    """Without names of fields anything may have changed."""
    names = entry.data.get("fields") or ("first_beat_offset",)
    return any("first_beat_offset" in name for name in names)
