"""A gig: twenty tracks over two decks that report fifty times a second, and what is left of it."""

from __future__ import annotations

import asyncio
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from server.clock import to_rfc3339
from server.config import Config
from tests.analysis.conftest import QUICK
from tests.cli.program import Program
from tests.engine.conftest import BRISK, one_track
from tests.support import sound
from tests.support.application import Running, running
from tests.support.client import Client
from tests.support.clock import MovedClock
from tests.support.engine import StandInEngine, standing_in
from tests.support.websocket import Socket, listening

TRACKS = 20
# The decks report at 50 Hz. The clock goes on by TICK_MS once all before was taken in; what matters happens then.
STEP_MS, TICK_MS = 20, 100
# A track comes every two seconds and is on air for three, so that two decks overlap; these are on air for one.
EVERY_MS, ON_AIR_MS, SHORT_MS = 2000, 3000, 1000
SHORT = frozenset({7, 13})
COUNTS_AFTER_S = 2.0


@dataclass(frozen=True, slots=True)
class Part:
    """A track of the gig; times in ms since its start."""

    number: int
    track_id: str

    @property
    def deck(self) -> str:
        return "AB"[self.number % 2]

    @property
    def starts(self) -> int:
        return self.number * EVERY_MS

    @property
    def stops(self) -> int:
        return self.starts + (SHORT_MS if self.number in SHORT else ON_AIR_MS)

    def update(self, now: int) -> dict[str, Any]:
        """What the deck says now; not which track, which is known since it was loaded."""
        heard = min(max(now - self.starts, 0), self.stops - self.starts)
        return {
            "type": "deckStateUpdate",
            "deck": self.deck,
            "position": heard / 1000,
            "playing": self.starts <= now < self.stops,
        }


async def _library(mismo: Running, music: Path) -> list[str]:
    for number in range(TRACKS):
        sound.mp3(music / f"{number:02d}.mp3", number, TIT2=f"{number:02d}")
    directory = await mismo.added(music, watch=False)
    await mismo.scanned(directory["id"])
    return await _ids(mismo.client)


async def _ids(client: Client) -> list[str]:
    return [track["id"] for track in (await client.get("/api/tracks", sort="title"))["data"]]


async def test_gig_of_twenty_tracks_ends_exactly_right(
    linked: Running, engine: StandInEngine, music: Path, clock: MovedClock
) -> None:
    parts = [Part(number, track_id) for number, track_id in enumerate(await _library(linked, music))]
    await linked.client.put("/api/settings/played_after_seconds", {"value": COUNTS_AFTER_S})
    began = clock.now_ms()
    async with linked.socket("session:*", "cue:*", "deck:state", "track:updated") as socket:
        watching = asyncio.create_task(socket.until(lambda event: _is_last(event, parts[-1])))
        on_deck: dict[str, Part] = {}
        for now in range(0, parts[-1].stops + STEP_MS, STEP_MS):
            if now % TICK_MS == 0:
                await engine.settled()
                clock.set_ms(began + now)
            for part in parts:
                if now == max(0, part.starts - 500):
                    await engine.say(type="trackLoaded", deck=part.deck, trackId=part.track_id, success=True)
                    on_deck[part.deck] = part
                if now == part.starts + 500 and part.number % 5 == 0:
                    await engine.say(type="cuePointSet", deck=part.deck, index=part.number % 8, position=0.5)
                if now == part.starts + 800 and part.number == 10:
                    await engine.say(type="cuePointRemoved", deck=part.deck, index=2)
            for part in on_deck.values():
                await engine.say(**part.update(now))
        await engine.settled()
        await watching
        told = socket.events
    await _check(linked.client, parts, began)
    counted = [part.track_id for part in parts if part.number not in SHORT]
    played = [event["data"]["entry"]["track_id"] for event in told if event["event"] == "session:track:played"]
    assert played == counted
    cues = [event for event in told if event["event"] in ("cue:updated", "cue:deleted")]
    assert [(event["event"], event["data"]["cue"]["index"]) for event in cues] == [
        ("cue:updated", 0), ("cue:updated", 5), ("cue:updated", 2), ("cue:deleted", 2), ("cue:updated", 7),
    ]  # fmt: skip
    for part in parts:
        found = (await linked.client.get(f"/api/tracks/{part.track_id}/hot-cues"))["data"]
        is_cued = part.number % 5 == 0 and part.number != 10
        assert [(cue["index"], cue["source"]) for cue in found] == ([(part.number % 8, "engine")] if is_cued else [])


def _is_last(event: dict[str, Any], part: Part) -> bool:
    if event["event"] != "deck:state":
        return False
    return (event["data"]["track_id"], event["data"]["position"]) == (part.track_id, ON_AIR_MS / 1000)


async def _check(client: Client, parts: list[Part], began: int) -> None:
    session = (await client.get("/api/playlists/sessions/active"))["data"]
    entries = (await client.get(f"/api/playlists/{session['id']}"))["data"]["entries"]
    counted = [part for part in parts if part.number not in SHORT]
    assert [(entry["track_id"], entry["played_at"], entry["play_duration_ms"]) for entry in entries] == [
        (part.track_id, to_rfc3339(began + part.starts), ON_AIR_MS) for part in counted
    ]
    for part in parts:
        track = (await client.get(f"/api/tracks/{part.track_id}"))["data"]
        history = (await client.get(f"/api/tracks/{part.track_id}/history"))["data"]
        what = [row["event"] for row in reversed(history) if row["event"] != "added"]
        if part.number in SHORT:
            assert (track["play_count"], track["last_played"]) == (0, None)
            assert what == ["load", "start", "stop"]
        else:
            counted_at = to_rfc3339(began + part.starts + round(COUNTS_AFTER_S * 1000))
            assert (track["play_count"], track["last_played"]) == (1, counted_at)
            assert what == ["load", "start", "played", "stop"]


async def test_time_on_air_is_known_over_a_restart(
    settings: Config, engine: StandInEngine, music: Path, clock: MovedClock
) -> None:
    """Twelve seconds before, eight while Mismo is away, twelve after: it counts after thirty, with its whole time."""
    async with running(settings, clock, analysis_pace=QUICK, engine_pace=BRISK) as mismo:
        await engine.connected()
        track_id = await one_track(mismo, music)
        await engine.say(type="trackLoaded", deck="A", trackId=track_id, success=True)
        started_at = clock.now_ms()
        await _plays(engine, clock, 0, 12)
    clock.move(seconds=8)
    async with running(settings, clock, engine_pace=BRISK) as mismo:
        await engine.connected(2)
        await _plays(engine, clock, 20, 9)
        assert (await mismo.client.get(f"/api/tracks/{track_id}"))["data"]["play_count"] == 0
        await _plays(engine, clock, 29, 3)
        await engine.say(type="deckStateUpdate", deck="A", position=32.0, playing=False)
        await engine.settled()
        assert (await mismo.client.get(f"/api/tracks/{track_id}"))["data"]["play_count"] == 1
        session = (await mismo.client.get("/api/playlists/sessions/active"))["data"]
        (entry,) = (await mismo.client.get(f"/api/playlists/{session['id']}"))["data"]["entries"]
        assert (entry["played_at"], entry["play_duration_ms"]) == (to_rfc3339(started_at), 32_000)


async def test_deck_that_stopped_while_nobody_listened_played_as_far_as_it_came(
    linked: Running, engine: StandInEngine, music: Path, clock: MovedClock
) -> None:
    track_id = await one_track(linked, music)
    await engine.say(type="trackLoaded", deck="A", trackId=track_id, success=True)
    await _plays(engine, clock, 0, 40)
    await engine.abort()
    clock.move(seconds=3600)
    await engine.connected(2)
    await engine.say(type="deckStateUpdate", deck="A", position=45.0, playing=False)
    await engine.settled()
    session = (await linked.client.get("/api/playlists/sessions/active"))["data"]
    (entry,) = (await linked.client.get(f"/api/playlists/{session['id']}"))["data"]["entries"]
    assert (entry["track_id"], entry["play_duration_ms"]) == (track_id, 45_000)


async def _plays(engine: StandInEngine, clock: MovedClock, position: float, seconds: int) -> None:
    for second in range(seconds + 1):
        await engine.say(type="deckStateUpdate", deck="A", position=position + second, playing=True)
        await engine.settled()
        if second < seconds:
            clock.move(seconds=1)


class KilledGig:
    """The engine's side of a gig in real time, and a Mismo that is killed under it."""

    def __init__(self, engine: StandInEngine, ids: list[str]):
        self.engine = engine
        self.ids = ids
        self.playing: dict[str, tuple[str, float]] = {}
        self._is_over = False

    async def perform(self) -> None:
        """Every deck says fifty times a second where it is, whether or not somebody listens."""
        loop = asyncio.get_running_loop()
        while not self._is_over:
            for deck, (track_id, since) in list(self.playing.items()):
                await self.engine.say(
                    type="deckStateUpdate", deck=deck, trackId=track_id, position=loop.time() - since, playing=True
                )
            await asyncio.sleep(STEP_MS / 1000)  # the rate of the decks, not a wait for something

    async def start(self, number: int) -> None:
        deck = "AB"[number % 2]
        await self.engine.say(type="trackLoaded", deck=deck, trackId=self.ids[number], success=True)
        self.playing[deck] = (self.ids[number], asyncio.get_running_loop().time())

    async def stop(self, number: int) -> None:
        deck = "AB"[number % 2]
        track_id, since = self.playing.pop(deck)
        position = asyncio.get_running_loop().time() - since
        await self.engine.say(type="deckStateUpdate", deck=deck, trackId=track_id, position=position, playing=False)

    def end(self) -> None:
        self._is_over = True


async def test_gig_goes_on_when_mismo_is_killed_in_the_middle(config: Config, music: Path, tmp_path: Path) -> None:
    for number in range(TRACKS):
        sound.mp3(music / f"{number:02d}.mp3", number, TIT2=f"{number:02d}")
    program = Program(config.database_url, tmp_path)
    async with standing_in() as engine, aiohttp.ClientSession() as session:
        settings = {"AUDIO_SERVER_WS_URL": engine.url, "AUDIO_SERVER_RECONNECT_DELAY": "10"}
        async with (
            program.serving("--library", str(music), **settings) as server,
            listening(session, server.url, "track:*") as socket,
        ):
            client = Client(server.url, session, ())
            await engine.connected()
            await client.put("/api/settings/played_after_seconds", {"value": 0.3})
            gig = KilledGig(engine, await _scanned(client, socket))
            performing = asyncio.create_task(gig.perform())
            for number in range(10):
                await _next(gig, number, client, socket)
            # Track 9 is on air, and 10 has just begun.
            await gig.start(10)
            await _count(client, socket, gig.ids[9])
            server.process.send_signal(signal.SIGKILL)
            await server.process.wait()
        async with (
            program.serving(**settings) as server,
            listening(session, server.url, "track:*") as socket,
        ):
            client = Client(server.url, session, ())
            await engine.connected(2)
            await _count(client, socket, gig.ids[10])
            await gig.stop(9)
            for number in range(11, TRACKS):
                await _next(gig, number, client, socket)
            await gig.stop(TRACKS - 1)
            gig.end()
            await performing
            await engine.settled()
            active = (await client.get("/api/playlists/sessions/active"))["data"]
            entries = (await client.get(f"/api/playlists/{active['id']}"))["data"]["entries"]
            assert [entry["track_id"] for entry in entries] == gig.ids
            assert all(entry["play_duration_ms"] >= 300 for entry in entries)
            tracks = (await client.get("/api/tracks", sort="title"))["data"]
            assert [track["play_count"] for track in tracks] == [1] * TRACKS
            assert all(track["last_played"] >= entry["played_at"] for track, entry in zip(tracks, entries, strict=True))
            plays = (await client.get("/api/playlists", type="session"))["data"]
            assert len(plays) == 1


async def _scanned(client: Client, socket: Socket) -> list[str]:
    """The tracks, once all are in the library."""
    while len(ids := await _ids(client)) < TRACKS:
        await socket.receive()
    return ids


async def _next(gig: KilledGig, number: int, client: Client, socket: Socket) -> None:
    """Bring a track in over the one before, which ends once this one has counted."""
    await gig.start(number)
    await _count(client, socket, gig.ids[number])
    if number:
        await gig.stop(number - 1)


async def _count(client: Client, socket: Socket, track_id: str) -> None:
    """Wait until a track has counted as played."""
    while (await client.get(f"/api/tracks/{track_id}"))["data"]["play_count"] == 0:
        await socket.receive()
