"""From a request to what tracks show."""

from __future__ import annotations

import asyncio
import shutil
import struct

from server.analysis import finding
from server.analysis.stage import Stage
from tests.analysis.conftest import Opened
from tests.support import sound
from tests.support.analysis_server import (
    AnalysisServer,
    Ordered,
    basic_features,
    characteristics,
    good,
    silent,
    waveform,
)


async def test_requested_track_shows_what_the_analysis_found(studio: Opened) -> None:
    async with studio() as it:
        track = await it.track()
        assert (track["is_analyzed"], track["bpm"]) == (False, None)
        job = await it.request(track_id=track["id"])
        assert job["id"] == track["audio_hash"]
        ended = await it.outcome(job["id"])
        assert (ended["status"], ended["stages"], ended["error"]) == (
            "completed",
            [],
            None,
        )
        assert {item["stage"]: item["status"] for item in ended["results"]} == {
            "basic_features": "done", "characteristics": "done",
        }  # fmt: skip
        shown = await it.get(track["id"])
        assert (shown["bpm"], shown["bpm_source"], shown["key_name"], shown["key_source"]) == (
            128.0, "analysis", "Am", "analysis",
        )  # fmt: skip
        assert (
            shown["camelot"],
            shown["first_beat_offset"],
            shown["danceability"],
        ) == ("8A", 0.5, 1.0)
        assert (shown["energy"], shown["loudness"]) == (-12.5, -9.1)
        assert shown["is_analyzed"] is True
        assert shown["analysis_stages"] == ["basic_features", "characteristics"]


async def test_users_values_stay_in_effect(studio: Opened) -> None:
    async with studio() as it:
        track = await it.track()
        await it.mismo.client.patch(f"/api/tracks/{track['id']}", {"bpm": 100, "key": "1B"})
        await it.outcome((await it.request(track_id=track["id"]))["id"])
        shown = await it.get(track["id"])
        assert (shown["bpm"], shown["bpm_source"], shown["camelot"]) == (
            100,
            "user",
            "1B",
        )
        await it.mismo.client.patch(f"/api/tracks/{track['id']}", {"bpm": None})
        assert (await it.get(track["id"]))["bpm"] == 128.0


async def test_copy_shows_the_analysis_without_another_job(studio: Opened) -> None:
    async with studio() as it:
        track = await it.track()
        await it.outcome((await it.request(track_id=track["id"]))["id"])
        shutil.copy(it.music / "one.mp3", it.music / "copy.mp3")
        async with it.mismo.socket("track:updated") as socket:
            await it.mismo.scanned(it.directory_id)
            await socket.until(
                lambda event: any(
                    item["relative_path"] == "copy.mp3" and item["is_analyzed"] for item in event["data"]["tracks"]
                )
            )
        copy = next(item for item in await it.tracks() if item["relative_path"] == "copy.mp3")
        assert copy["bpm"] == 128.0
        assert len(it.server.jobs) == 1


async def test_analysis_of_replaced_audio_is_not_shown(studio: Opened) -> None:
    async with studio() as it:
        track = await it.track()
        await it.outcome((await it.request(track_id=track["id"]))["id"])
        sound.mp3(it.music / "one.mp3", "quite another")
        await it.mismo.scanned(it.directory_id)
        shown = await it.get(track["id"])
        assert shown["audio_hash"] != track["audio_hash"]
        assert (shown["bpm"], shown["is_analyzed"], shown["analysis_stages"]) == (
            None,
            False,
            [],
        )
        answer = await it.mismo.client.request("GET", f"/api/tracks/{track['id']}/waveform")
        assert (answer.status, answer.json["code"]) == (404, "waveform_not_ready")


async def test_retagged_file_keeps_its_analysis(studio: Opened) -> None:
    async with studio() as it:
        track = await it.track()
        await it.outcome((await it.request(track_id=track["id"]))["id"])
        sound.retag(it.music / "one.mp3", TIT2="One")
        await it.mismo.scanned(it.directory_id)
        shown = await it.get(track["id"])
        assert (shown["title"], shown["bpm"]) == ("One", 128.0)


async def test_new_tracks_are_analysed_by_themselves(studio: Opened) -> None:
    async with studio(auto_analyze_new_tracks=True) as it:
        async with it.mismo.socket("analysis:*") as socket:
            track = await it.track()
            complete = await socket.named("analysis:complete")
        assert complete["data"]["track_ids"] == [track["id"]]
        assert complete["data"]["job"]["priority"] == "normal"
        names = [event["event"] for event in socket.events if "seq" in event]
        assert names == [
            "analysis:started",
            "analysis:stage",
            "analysis:stage",
            "analysis:complete",
        ]


async def test_deep_stages_follow_when_nothing_else_waits(studio: Opened) -> None:
    async with studio(auto_analyze_new_tracks=True) as it:
        async with it.mismo.socket("analysis:complete") as socket:
            track = await it.track()
            await socket.until(lambda event: event["data"]["job"]["priority"] == "low")
        assert [job.stages for job in it.server.jobs.values()] == [
            ["basic_features", "characteristics"], ["genre", "segments", "transitions"],
        ]  # fmt: skip
        described = (await it.mismo.client.get(f"/api/analysis/status/{track['audio_hash']}"))["data"]
        assert {item["stage"]: item["status"] for item in described["results"]}["genre"] == "unsupported"
        assert (await it.get(track["id"]))["analysis_stages"] == [
            "basic_features",
            "characteristics",
            "segments",
        ]


async def test_what_is_stored_is_not_asked_again(studio: Opened) -> None:
    async with studio() as it:
        track = await it.track()
        first = await it.request(track_id=track["id"], stages=["basic_features"])
        await it.outcome(first["id"])
        await it.outcome((await it.request(track_id=track["id"]))["id"])
        again = await it.request(track_id=track["id"])
        assert again["status"] == "completed"
        assert [job.stages for job in it.server.jobs.values()] == [
            ["basic_features"],
            ["characteristics"],
        ]


async def test_what_is_being_stored_meanwhile_is_not_asked_for_again(studio: Opened) -> None:
    async with studio(silent) as it:
        track = await it.track()
        await it.request(track_id=track["id"], stages=["basic_features"])
        queue = it.mismo.app.analysis.service._queue
        async with asyncio.TaskGroup() as group, queue.uow() as tx:
            assert await queue.within(tx, track["audio_hash"])
            asking = group.create_task(it.request(track_id=track["id"], stages=["characteristics"]))
            await queue.results.put(tx, track["audio_hash"], finding.read(Stage.CHARACTERISTICS, characteristics()))
        assert "characteristics" not in asking.result()["stages"]


async def test_beats_come_as_they_were_sent(studio: Opened) -> None:
    async with studio() as it:
        track = await it.track()
        answer = await it.mismo.client.request("GET", f"/api/tracks/{track['id']}/beats")
        assert (answer.status, answer.json["code"], answer.json["job_state"]) == (
            404,
            "beats_not_ready",
            None,
        )
        await it.outcome((await it.request(track_id=track["id"]))["id"])
        sent = basic_features()
        beats = (await it.mismo.client.get(f"/api/tracks/{track['id']}/beats"))["data"]["beats"]
        downbeats = (await it.mismo.client.get(f"/api/tracks/{track['id']}/downbeats"))["data"]["downbeats"]
        assert (beats, downbeats) == (sent["beats"], sent["downbeats"])


async def test_waveform_comes_as_json_and_as_planes_of_bytes(studio: Opened) -> None:
    async def finely(server: AnalysisServer, job: Ordered) -> None:
        drawn = [{**waveform(zoom), "samples_per_pixel": 1_234_567.25} for zoom in range(3)]
        await server.call(job, "basic_features", {**basic_features(), "waveforms": drawn})

    async with studio(finely) as it:
        track = await it.track()
        url = f"/api/tracks/{track['id']}/waveform"
        asked = await it.mismo.client.post(url, status=202)
        await it.outcome(asked["data"]["id"])
        one = (await it.mismo.client.get(url, zoom=1))["data"]
        assert (one["zoom_level"], one["num_pixels"], one["samples_per_pixel"]) == (
            1,
            4000,
            1_234_567.25,
        )
        assert one["bands"]["low"]["amplitude"][:3] == [0, 1, 2]
        assert one["bands"]["high"]["intensity"][:3] == [5, 6, 7]
        every = (await it.mismo.client.get(url))["data"]
        assert [item["num_pixels"] for item in every] == [1000, 4000, 16000]
        assert every == (await it.mismo.client.get(f"/api/analysis/waveforms/{track['id']}"))["data"]
        headers = {"Accept": "application/octet-stream"}
        raw = await it.mismo.client.request("GET", url, headers=headers, params={"zoom": "1"})
        assert raw.headers["content-type"] == "application/octet-stream"
        assert raw.headers["x-waveform-num-pixels"] == "4000"
        assert raw.headers["x-waveform-samples-per-pixel"] == "1234567.25"
        assert raw.headers["x-waveform-planes"].startswith("low_amplitude,low_intensity,mid_amplitude")
        assert "immutable" in raw.headers["cache-control"]
        assert len(raw.content) == 6 * 4000
        assert list(raw.content[:3]) == one["bands"]["low"]["amplitude"][:3]
        again = await it.mismo.client.request(
            "GET",
            url,
            headers={**headers, "If-None-Match": raw.headers["etag"]},
            params={"zoom": "1"},
        )
        assert again.status == 304


async def test_missing_waveform_names_the_state_of_its_job(studio: Opened) -> None:
    async with studio(silent) as it:
        track = await it.track()
        await it.mismo.client.post(f"/api/tracks/{track['id']}/waveform", status=202)
        answer = await it.mismo.client.request("GET", f"/api/tracks/{track['id']}/waveform")
        assert (answer.status, answer.json["code"]) == (404, "waveform_not_ready")
        assert answer.json["job_state"] in ("queued", "running")


async def test_urgent_goes_before_high_before_normal(studio: Opened) -> None:
    async with studio(max_concurrent_analysis=1) as it:
        it.server.is_ill = True
        tracks = {track["relative_path"]: track for track in await it.tracks("a", "b", "c", "d")}
        for name, priority in (
            ("a", "low"),
            ("b", "normal"),
            ("c", "normal"),
            ("d", "urgent"),
        ):
            await it.request(track_id=tracks[f"{name}.mp3"]["id"], priority=priority)
        it.server.is_ill = False
        for track in tracks.values():
            await it.outcome(track["audio_hash"])
        names = {track["audio_hash"]: name for name, track in tracks.items()}
        assert [names[job.track_hash] for job in it.server.jobs.values()] == [
            "d.mp3",
            "b.mp3",
            "c.mp3",
            "a.mp3",
        ]


async def test_loaded_track_goes_before_all_that_waits(studio: Opened) -> None:
    async with studio(max_concurrent_analysis=1) as it:
        it.server.is_ill = True
        tracks = await it.tracks("a", "b", "c", "d")
        await it.mismo.client.post(
            "/api/analysis/request",
            {"track_ids": [track["id"] for track in tracks], "priority": "normal"},
            status=202,
        )
        loaded = tracks[3]
        await it.mismo.client.post(f"/api/tracks/{loaded['id']}/load", {"deck": "A"})
        job = (await it.mismo.client.get(f"/api/analysis/status/{loaded['audio_hash']}"))["data"]
        assert (job["status"], job["priority"]) == ("queued", "high")
        it.server.is_ill = False
        for track in tracks:
            await it.outcome(track["audio_hash"])
        assert next(iter(it.server.jobs.values())).track_hash == loaded["audio_hash"]
        assert (await it.get(loaded["id"]))["is_analyzed"] is True


async def test_asking_again_adds_stages_and_raises_the_priority(studio: Opened) -> None:
    async with studio() as it:
        it.server.is_ill = True
        track = await it.track()
        await it.request(track_id=track["id"], stages=["genre"], priority="low")
        merged = await it.request(track_id=track["id"], stages=["basic_features"], priority="high")
        assert (merged["stages"], merged["priority"]) == (
            ["basic_features", "genre"],
            "high",
        )
        lower = await it.request(track_id=track["id"], stages=["genre"], priority="low")
        assert lower["priority"] == "high"


async def test_stage_asked_for_while_a_job_runs_gets_another_round(
    studio: Opened,
) -> None:
    async def patient(server: AnalysisServer, job: Ordered) -> None:
        if job.stages == ["basic_features"]:
            await it.request(track_id=track["id"], stages=["characteristics"])
        await good(server, job)

    async with studio(patient) as it:
        track = await it.track()
        await it.outcome((await it.request(track_id=track["id"], stages=["basic_features"]))["id"])
        assert [job.stages for job in it.server.jobs.values()] == [
            ["basic_features"],
            ["characteristics"],
        ]
        described = (await it.mismo.client.get(f"/api/analysis/status/{track['audio_hash']}"))["data"]
        assert described["attempts"] == 0


async def test_no_more_jobs_are_given_away_at_once_than_configured(
    studio: Opened,
) -> None:
    async with studio(max_concurrent_analysis=2) as it:
        tracks = await it.tracks(*range(8))
        await it.mismo.client.post(
            "/api/analysis/request",
            {"track_ids": [track["id"] for track in tracks]},
            status=202,
        )
        for track in tracks:
            await it.outcome(track["audio_hash"])
        # A job ends with its last result; the stand-in still says "completed" then.
        assert it.server.most_active <= 4
        assert len(it.server.jobs) == 8


async def test_filter_selects_and_unhashed_tracks_are_named(studio: Opened) -> None:
    async with studio() as it:
        await it.tracks("a", "b")
        answer = (await it.mismo.client.post("/api/analysis/request", {"filter": {"format": ["mp3"]}}, status=202))[
            "data"
        ]
        assert (answer["accepted"], answer["skipped_count"]) == (2, 0)
        await it.mismo.client.post("/api/analysis/request", {}, status=422)
        await it.mismo.client.post("/api/analysis/request", {"filter": {}, "stages": ["tempo"]}, status=422)


async def test_lists_of_numbers_are_bytes_or_shares(studio: Opened) -> None:
    async def listed(server: AnalysisServer, job: Ordered) -> None:
        planes = {name: value for name, value in waveform(0).items() if not name.endswith(("amplitude", "intensity"))}
        names = [name for name in waveform(0) if name.endswith(("amplitude", "intensity"))]
        shares = {**planes, **{name: [0.0, 0.5, 1.0, 0.25] * 250 for name in names}}
        whole = {
            **planes,
            "zoom_level": 1,
            **{name: [0, 128, 255, 64] * 250 for name in names},
        }
        await server.call(job, "basic_features", {**basic_features(), "waveforms": [shares, whole]})

    async with studio(listed) as it:
        track = await it.track()
        await it.outcome((await it.request(track_id=track["id"], stages=["basic_features"]))["id"])
        first, second = (await it.mismo.client.get(f"/api/tracks/{track['id']}/waveform"))["data"]
        assert first["bands"]["mid"]["amplitude"][:4] == [0, 128, 255, 64]
        assert first["bands"] == second["bands"]


async def test_remote_server_is_sent_the_file_itself(studio: Opened) -> None:
    async with studio(analysis_server_remote=True) as it:
        track = await it.track()
        ended = await it.outcome((await it.request(track_id=track["id"]))["id"])
        assert ended["status"] == "completed"
        (job,) = it.server.jobs.values()
        assert job.file == (it.music / "one.mp3").read_bytes()
        assert (job.fields["stem_delivery_mode"], job.fields["track_hash"]) == (
            "callback",
            track["audio_hash"],
        )
        assert "file_path" not in job.fields


async def test_file_whose_name_is_not_utf8_is_sent_itself(studio: Opened) -> None:
    async with studio() as it:
        sound.mp3(it.music / "x.mp3", "odd").rename((it.music / "x.mp3").with_name("odd\udcff.mp3"))
        (track,) = await it.tracks()
        ended = await it.outcome((await it.request(track_id=track["id"]))["id"])
        assert ended["status"] == "completed"
        (job,) = it.server.jobs.values()
        assert job.file is not None


async def test_queue_tells_how_it_stands(studio: Opened) -> None:
    async with studio() as it:
        it.server.is_ill = True
        tracks = await it.tracks("a", "b")
        await it.request(track_id=tracks[0]["id"], priority="urgent")
        await it.request(track_id=tracks[1]["id"], priority="normal")
        queue = (await it.mismo.client.get("/api/analysis/queue"))["data"]
        assert (
            queue["states"]["queued"],
            queue["priorities"]["urgent"],
            queue["priorities"]["normal"],
        ) == (2, 1, 1)
        health = (await it.mismo.client.get("/api/analysis/health"))["data"]
        assert (health["state"], health["version"]) == ("away", None)
        assert "500" in health["detail"]
        it.server.is_ill = False
        for track in tracks:
            await it.outcome(track["audio_hash"])
        raw = await it.mismo.client.request("GET", "/api/analysis/jobs", params={"status": "completed"})
        assert (raw.status, raw.json["pagination"]["total"]) == (200, 2)
        health = (await it.mismo.client.get("/api/analysis/health"))["data"]
        assert (health["state"], health["version"]) == ("ok", "stand-in")


def test_beats_are_stored_as_little_endian_float64() -> None:
    from array import array

    from server.analysis.result_store import _packed

    assert _packed(array("d", [0.5, 1.0])) == struct.pack("<2d", 0.5, 1.0)
