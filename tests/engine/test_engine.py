"""What the audio engine asks, and what it is told, against a stand-in that is a process of its own."""

from __future__ import annotations

import base64
import filecmp
import os
from dataclasses import replace
from pathlib import Path

import pytest

from server.config import Config
from tests.analysis.conftest import QUICK
from tests.engine.conftest import BRISK, UNKNOWN, Desk, one_track
from tests.support import sound
from tests.support.analysis_server import basic_features
from tests.support.application import Running, running
from tests.support.engine import StandInEngine


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


@pytest.mark.parametrize("track_id", ["", "x" * 100_000, None, 17, ["a"], UNKNOWN.upper().replace("8", "A")])
async def test_what_is_no_id_is_an_invalid_track_id(linked: Running, engine: StandInEngine, track_id: object) -> None:
    reply = await engine.ask(command="getTrackInfo", trackId=track_id, requestId="r")
    assert (reply["success"], reply["error"]) == (False, "Invalid track ID")


async def test_file_that_may_not_be_read_is_said_so(linked: Running, engine: StandInEngine, music: Path) -> None:
    track_id = await one_track(linked, music)
    (music / "one.mp3").chmod(0)
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(65534)  # root may read everything
    try:
        reply = await engine.ask(command="getTrackInfo", trackId=track_id, requestId="r")
        twin = await linked.client.get(f"/api/audio-server/tracks/{track_id}", status=403)
    finally:
        if is_root:
            os.seteuid(0)
    assert reply == {"success": False, "requestId": "r", "trackId": track_id, "error": "Permission denied"}
    assert (twin["code"], twin["detail"]) == ("permission_denied", "Permission denied")


async def test_rest_twin_refuses_in_the_same_words(
    linked: Running, engine: StandInEngine, music: Path, desk: Desk
) -> None:
    gone = await one_track(linked, music)
    desk.gate.clear()
    unanalysed = await one_track(linked, music, "two.mp3", analysed=False)
    (music / "one.mp3").unlink()
    for track_id, status, word in (
        (UNKNOWN, 404, "Track not found"),
        (gone, 409, "Track file missing"),
        (unanalysed, 409, "Analysis not complete"),
    ):
        problem = await linked.client.get(f"/api/audio-server/tracks/{track_id}", status=status)
        assert problem["detail"] == word


async def test_path_that_is_not_utf8_is_told_byte_for_byte(linked: Running, engine: StandInEngine, music: Path) -> None:
    await one_track(linked, music)
    path = os.fsencode(music) + b"/caf\xe9.mp3"
    os.rename(music / "one.mp3", path)
    (directory,) = (await linked.client.get("/api/library/directories"))["data"]
    await linked.scanned(directory["id"])
    (track,) = (await linked.client.get("/api/tracks"))["data"]
    reply = await engine.ask(command="getTrackInfo", trackId=track["id"], requestId="r")
    assert reply["success"]
    assert reply["filePath"].endswith("/caf\ufffd.mp3")
    assert base64.b64decode(reply["filePathBytes"]) == path
    twin = (await linked.client.get(f"/api/audio-server/tracks/{track['id']}"))["data"]
    assert twin["filePathBytes"] == reply["filePathBytes"]


async def test_key_may_be_a_number(settings: Config, engine: StandInEngine, music: Path) -> None:
    numbered = replace(settings, audio_server_key_format="number")
    async with running(numbered, analysis_pace=QUICK, engine_pace=BRISK) as mismo:
        await engine.connected()
        track_id = await one_track(mismo, music)
        reply = await engine.ask(command="getTrackInfo", trackId=track_id, requestId="r")
    assert (reply["key"], reply["mode"], reply["camelot"]) == ("9", "minor", "8A")


async def test_promised_reply_comes_once_however_the_analysis_is_timed(
    linked: Running, engine: StandInEngine, music: Path
) -> None:
    """Asked again and again while its analysis runs: each request gets one full reply, and nothing after it."""
    ids = [await one_track(linked, music, f"{number}.mp3", analysed=False) for number in range(5)]
    told: dict[int, list[bool]] = {}
    asked = 0
    while len(told) < 20 or any(not replies[-1] for replies in told.values()):
        if asked < 200:
            await engine.say(command="getTrackInfo", trackId=ids[asked % len(ids)], requestId=asked)
            told[asked] = [False]
            asked += 1
        if asked == 200 or not engine.received.empty():
            reply = await engine.hear()
            told[reply["requestId"]].append(reply["success"])
            assert reply["success"] or reply["error"] == "Analysis not complete"
    await engine.say(type="cuePointRemoved", deck="no such deck", index=0, requestId="end")
    assert (await engine.hear())["requestId"] == "end"
    assert all(replies.count(True) == 1 and len(replies) <= 3 for replies in told.values())


async def test_stems_follow_the_reply(
    linked: Running, engine: StandInEngine, music: Path, desk: Desk, tmp_path: Path
) -> None:
    track_id = await one_track(linked, music)
    names = ("bass", "drums", "other", "vocals")
    made = {name: str(sound.wav(tmp_path / f"{name}.wav", name)) for name in names}
    desk.stems = {"delivery_mode": "path", "format": "wav", "stems": made, "processing_time": 1.0}
    for request in ("first", "from the cache"):
        await engine.say(command="getTrackInfo", trackId=track_id, stems=True, requestId=request)
        reply, stems = await engine.hear(), await engine.hear()
        assert (reply["success"], reply["requestId"], reply["bpm"]) == (True, request, 128.0)
        assert (stems["success"], stems["type"], stems["requestId"]) == (True, "stemsReady", request)
        assert (stems["trackId"], sorted(stems["stems"])) == (track_id, list(names))
        for name in names:
            assert os.path.isabs(stems["stems"][name])
            assert filecmp.cmp(stems["stems"][name], made[name], shallow=False)


async def test_load_that_is_requested_is_analysed_first(
    linked: Running, engine: StandInEngine, music: Path, desk: Desk
) -> None:
    desk.gate.clear()
    track_id = await one_track(linked, music, analysed=False)
    await engine.say(type="trackLoadRequested", deck="A", trackId=track_id)
    await engine.settled()
    (job,) = (await linked.client.get("/api/analysis/jobs"))["data"]
    assert (job["priority"], job["status"] in ("queued", "running")) == ("high", True)
    history = (await linked.client.get(f"/api/tracks/{track_id}/history"))["data"]
    assert "load" not in [row["event"] for row in history]


async def test_edit_of_what_a_deck_has_loaded_is_told(linked: Running, engine: StandInEngine, music: Path) -> None:
    track_id = await one_track(linked, music)
    await engine.say(type="trackLoaded", deck="B", trackId=track_id, success=True)
    await engine.settled()
    await linked.client.patch(f"/api/tracks/{track_id}", {"rating": 3})
    await linked.client.patch(f"/api/tracks/{track_id}", {"first_beat_offset": 0.25})
    told = {"type": "updateFirstBeatOffset", "deck": "B", "trackId": track_id, "firstBeatOffset": 0.25}
    assert await engine.hear() == told
    await linked.client.patch(f"/api/tracks/{track_id}", {"first_beat_offset": None})
    assert await engine.hear() == {**told, "firstBeatOffset": 0.5}
    await linked.client.put(f"/api/tracks/{track_id}/hot-cues/4", {"position": 3.5})
    changed = await engine.hear()
    assert (changed["type"], changed["deck"], changed["trackId"]) == ("hotCuesUpdated", "B", track_id)
    assert [(cue["index"], cue["position"]) for cue in changed["hotCues"]] == [(4, 3.5)]


async def test_beat_offset_that_a_user_gave_outlives_the_analysis(linked: Running, music: Path) -> None:
    track_id = await one_track(linked, music, analysed=False)
    path = f"/api/tracks/{track_id}"
    await linked.client.patch(path, {"first_beat_offset": 0.25})
    job = await linked.app.analysis.service.ensure(track_id)
    await linked.app.analysis.service.outcome(job.audio_hash)
    shown = (await linked.client.get(path))["data"]
    assert (shown["bpm"], shown["first_beat_offset"]) == (128.0, 0.25)
    await linked.client.patch(path, {"first_beat_offset": None})
    assert (await linked.client.get(path))["data"]["first_beat_offset"] == 0.5


async def test_deck_with_something_unknown_keeps_no_track(linked: Running, engine: StandInEngine, music: Path) -> None:
    """A cue that is set there must not become the track's that lay there before."""
    track_id = await one_track(linked, music)
    await engine.say(type="trackLoaded", deck="A", trackId=track_id, success=True)
    await engine.say(type="trackLoaded", deck="A", trackId=UNKNOWN, success=True)
    await engine.say(type="cuePointSet", deck="A", index=0, position=1.0)
    assert (await engine.hear())["error"] == "Track not found"
    assert "no track is loaded" in (await engine.hear())["error"]
    assert (await linked.client.get(f"/api/tracks/{track_id}/hot-cues"))["data"] == []


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
    answered = [reply["requestId"] for reply in replies]
    assert sorted(answered) == list(range(1000))
    assert answered != sorted(answered)  # what takes longer is overtaken
    assert all(reply["success"] == bool(reply["requestId"] % 2) for reply in replies)


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


async def test_cue_on_a_deck_whose_track_was_deleted_is_refused(
    linked: Running, engine: StandInEngine, music: Path
) -> None:
    track_id = await one_track(linked, music)
    await engine.say(type="trackLoaded", deck="A", trackId=track_id, success=True)
    await engine.settled()
    await linked.client.delete(f"/api/tracks/{track_id}")
    for name in ("cuePointSet", "cuePointRemoved"):
        await engine.say(type=name, deck="A", index=0, position=1.0)
        assert (await engine.hear())["error"] == "Track not found"
