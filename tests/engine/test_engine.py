"""The link to the audio engine, against a stand-in that is a websocket server of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from server.config import Config
from tests.analysis.conftest import QUICK
from tests.support import sound
from tests.support.analysis_server import AnalysisServer, Ordered, analysis_server, basic_features, good
from tests.support.application import Running, running
from tests.support.clock import MovedClock
from tests.support.engine import StandInEngine, standing_in

UNKNOWN = "01890000-0000-7000-8000-000000000000"


@pytest.fixture
async def engine() -> AsyncIterator[StandInEngine]:
    async with standing_in() as found:
        yield found


@pytest.fixture
def clock() -> MovedClock:
    return MovedClock()


class Desk:
    """The stand-in analysis server's way of working: it answers when its gate is open."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.gate.set()

    async def work(self, server: AnalysisServer, job: Ordered) -> None:
        await self.gate.wait()
        await good(server, job)


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
async def settings(config: Config, engine: StandInEngine, desk: Desk) -> AsyncIterator[Config]:
    """A configuration with a stand-in engine and a stand-in analysis server."""
    async with analysis_server(desk.work) as server:
        yield replace(
            config,
            audio_server_ws_url=engine.url,
            audio_server_auth_token="secret",
            audio_server_reconnect_delay=1,
            audio_server_max_reconnect_delay=5,
            analysis_server_url=server.url,
        )


@pytest.fixture
async def linked(settings: Config, engine: StandInEngine, clock: MovedClock) -> AsyncIterator[Running]:
    """A server whose engine is connected."""
    async with running(settings, clock, analysis_pace=QUICK) as mismo:
        await engine.connected()
        yield mismo


async def one_track(mismo: Running, music: Path, name: str = "one.mp3", *, analysed: bool = True) -> str:
    sound.mp3(music / name, name, TIT2=name)
    known = (await mismo.client.get("/api/library/directories"))["data"]
    directory = known[0] if known else await mismo.added(music, watch=False)
    await mismo.scanned(directory["id"])
    listed = (await mismo.client.get("/api/tracks", title=name))["data"]
    track_id: str = listed[0]["id"]
    if analysed:
        job = await mismo.app.analysis.service.ensure(track_id)
        await mismo.app.analysis.service.outcome(job.audio_hash)
    return track_id


async def test_engine_is_told_who_calls_and_with_what_token(linked: Running, engine: StandInEngine) -> None:
    assert engine.identified == [{"type": "appServerIdentify", "token": "secret"}]
    assert (await linked.client.get("/api/audio-server"))["data"] == {"state": "connected", "url": engine.url}


async def test_track_info_has_everything_the_engine_needs(linked: Running, engine: StandInEngine, music: Path) -> None:
    track_id = await one_track(linked, music)
    await linked.client.put(
        f"/api/tracks/{track_id}/hot-cues/2", {"position": 12.5, "name": "drop", "color": "#ff0000"}
    )
    features = basic_features()
    reply = await engine.ask(command="getTrackInfo", trackId=track_id, deck="A", stems=False, requestId="r1")
    assert reply == {
        "success": True,
        "requestId": "r1",
        "trackId": track_id,
        "filePath": str(music / "one.mp3"),
        "bpm": 128.0,
        "key": "Am",
        "mode": "minor",
        "camelot": "8A",
        "beats_data": pytest.approx(features["beats"], abs=1e-6),
        "downbeats_data": pytest.approx(features["downbeats"], abs=1e-6),
        "firstBeatOffset": features.get("firstBeatOffset"),
        "firstPhraseBeatNo": features.get("firstPhraseBeatNo"),
        "durationSeconds": reply["durationSeconds"],
        "hotCues": [
            {"index": 2, "position": 12.5, "isLoop": False, "loopEnd": None, "name": "drop", "color": "#ff0000"}
        ],
    }
    twin = (await linked.client.get(f"/api/audio-server/tracks/{track_id}"))["data"]
    assert twin == {name: value for name, value in reply.items() if name not in ("success", "requestId")}


async def test_refusals_come_in_the_words_the_engine_knows(
    linked: Running, engine: StandInEngine, music: Path, desk: Desk
) -> None:
    gone = await one_track(linked, music)
    desk.gate.clear()
    unanalysed = await one_track(linked, music, "two.mp3", analysed=False)
    (music / "one.mp3").unlink()
    for track_id, word in (
        (UNKNOWN, "Track not found"),
        ("../etc/passwd", "Invalid track ID"),
        (gone, "Track file missing"),
        (unanalysed, "Analysis not complete"),
    ):
        reply = await engine.ask(command="getTrackInfo", trackId=track_id, requestId=track_id)
        assert reply == {"success": False, "requestId": track_id, "trackId": track_id, "error": word}


async def test_full_reply_is_pushed_once_the_track_is_analysed(
    linked: Running, engine: StandInEngine, music: Path, desk: Desk
) -> None:
    desk.gate.clear()
    track_id = await one_track(linked, music, analysed=False)
    refused = await engine.ask(command="getTrackInfo", trackId=track_id, requestId="later")
    assert refused["error"] == "Analysis not complete"
    job = (await linked.client.get("/api/analysis/jobs"))["data"][0]
    assert job["priority"] == "high"
    desk.gate.set()
    pushed = await engine.hear()
    assert (pushed["success"], pushed["requestId"], pushed["bpm"]) == (True, "later", 128.0)


async def test_thousand_requests_are_each_answered_once_by_their_id(
    linked: Running, engine: StandInEngine, music: Path
) -> None:
    track_id = await one_track(linked, music)
    for number in range(1000):
        await engine.say(command="getTrackInfo", trackId=track_id if number % 2 else UNKNOWN, requestId=number)
    replies = [await engine.hear() for _ in range(1000)]
    assert sorted(reply["requestId"] for reply in replies) == list(range(1000))
    assert all(reply["success"] == bool(reply["requestId"] % 2) for reply in replies)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        "[]",
        '"x"',
        '{"command":"selfDestruct"}',
        '{"type":"cuePointSet","deck":"A","index":8,"position":1}',
    ],
)
async def test_garbage_gets_an_error_and_the_link_lives_on(linked: Running, engine: StandInEngine, text: str) -> None:
    connection = await engine.connected()
    await connection.send(text)
    assert (await engine.hear())["success"] is False
    assert (await engine.ask(command="getTrackInfo", trackId=UNKNOWN, requestId=1))["error"] == "Track not found"
    assert engine.connections == 1


async def test_message_that_is_too_large_gets_an_error_and_the_link_lives_on(
    linked: Running, engine: StandInEngine
) -> None:
    connection = await engine.connected()
    await connection.send('{"command":"getTrackInfo","requestId":"big","trackId":"' + "x" * 2_000_000 + '"}')
    assert "bytes" in (await engine.hear())["error"]
    assert (await engine.ask(command="getTrackInfo", trackId=UNKNOWN, requestId=1))["error"] == "Track not found"


async def test_link_comes_back_whenever_it_breaks(settings: Config, engine: StandInEngine) -> None:
    async with running(settings) as mismo:
        await engine.connected()
        tasks = len(asyncio.all_tasks())
        for flap in range(1, 31):
            connection = await engine.connected(flap)
            connection.transport.abort()
        await engine.connected(31)
        assert (await engine.ask(command="getTrackInfo", trackId=UNKNOWN, requestId=1))["error"] == "Track not found"
        assert len(asyncio.all_tasks()) <= tasks + 5
        assert mismo.app.services


async def test_cue_set_on_a_deck_is_the_tracks_and_every_screens(
    linked: Running, engine: StandInEngine, music: Path
) -> None:
    track_id = await one_track(linked, music)
    await engine.say(type="trackLoaded", deck="A", trackId=track_id, success=True)
    async with linked.socket("cue:*") as socket:
        await engine.say(type="cuePointSet", deck="A", index=3, position=42.5, success=True)
        event = await socket.named("cue:updated")
        assert (event["data"]["track_id"], event["data"]["cue"]["position"]) == (track_id, 42.5)
        told = await engine.hear()
        assert (told["type"], told["hotCues"][0]["position"]) == ("hotCuesUpdated", 42.5)
        await engine.say(type="cuePointRemoved", deck="A", index=3, success=True)
        await socket.named("cue:deleted")
    cues = (await linked.client.get(f"/api/tracks/{track_id}/hot-cues"))["data"]
    assert cues == []


async def test_gig_counts_plays_and_writes_the_session(
    linked: Running, engine: StandInEngine, music: Path, clock: MovedClock
) -> None:
    first, second = await one_track(linked, music), await one_track(linked, music, "two.mp3")
    async with linked.socket("session:*", "deck:*", "track:updated") as socket:
        await engine.say(type="trackLoaded", deck="A", trackId=first, success=True)
        await engine.say(type="trackLoaded", deck="B", trackId=second, success=True)
        await engine.say(type="deckStateUpdate", deck="A", trackId=first, position=0.0, playing=True)
        await socket.until(lambda event: event["event"] == "deck:state" and event["data"]["playing"])
        clock.move(seconds=31)
        await engine.say(type="deckStateUpdate", deck="A", trackId=first, position=31.0, playing=True)
        played = await socket.named("session:track:played")
        # Ten seconds on the other deck are no play.
        await engine.say(type="deckStateUpdate", deck="B", trackId=second, position=0.0, playing=True)
        clock.move(seconds=10)
        await engine.say(type="deckStateUpdate", deck="B", trackId=second, position=10.0, playing=False)
        await engine.say(type="deckStateUpdate", deck="A", trackId=first, position=41.0, playing=False)
        assert (await engine.ask(command="getTrackInfo", trackId=UNKNOWN, requestId="done"))["requestId"] == "done"
    assert played["data"]["entry"]["track_id"] == first
    counts = {t["id"]: t["play_count"] for t in (await linked.client.get("/api/tracks"))["data"]}
    assert counts == {first: 1, second: 0}
    session = (await linked.client.get("/api/playlists/sessions/active"))["data"]
    content = (await linked.client.get(f"/api/playlists/{session['id']}"))["data"]
    assert [(entry["track_id"], entry["play_duration_ms"]) for entry in content["entries"]] == [(first, 41_000)]


async def test_track_on_air_over_a_restart_counts_once(
    settings: Config, engine: StandInEngine, music: Path, clock: MovedClock
) -> None:
    async with running(settings, clock, analysis_pace=QUICK) as mismo:
        await engine.connected()
        track_id = await one_track(mismo, music)
        await engine.say(type="deckStateUpdate", deck="A", trackId=track_id, position=0.0, playing=True)
        await engine.ask(command="getTrackInfo", trackId=UNKNOWN, requestId=1)
        clock.move(seconds=40)
        async with mismo.socket("session:*") as socket:
            await engine.say(type="deckStateUpdate", deck="A", trackId=track_id, position=40.0, playing=True)
            await socket.named("session:track:played")
    async with running(settings, clock) as mismo:
        await engine.connected(2)
        for position in (50.0, 90.0):
            clock.move(seconds=40)
            await engine.say(type="deckStateUpdate", deck="A", trackId=track_id, position=position, playing=True)
        await engine.ask(command="getTrackInfo", trackId=UNKNOWN, requestId=2)
        assert (await mismo.client.get(f"/api/tracks/{track_id}"))["data"]["play_count"] == 1
