"""The protocol, spoken with the real process over HTTP."""

import asyncio
import os
import resource
import shutil
import signal
import sys
from base64 import b64decode
from io import BytesIO
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import orjson
import pytest

from server.analyzer import process
from tests.support.process import children, ended, opening

from . import encoding
from .conftest import ROOT, Analyzer, Start


async def test_health_has_the_fields_of_the_protocol(analyzer: Analyzer) -> None:
    status, body = await analyzer.call("GET", "/health")
    assert status == 200
    assert body.keys() == {"status", "version", "jobs_queued", "jobs_processing"}
    assert (body["status"], body["jobs_queued"], body["jobs_processing"]) == ("ok", 0, 0)


async def test_every_stage_is_reported_in_order_and_then_the_end(analyzer: Analyzer, song: Path) -> None:
    job_id = await analyzer.submit(song, options={"all": True})
    assert job_id == "hash-1"
    bodies = await analyzer.receiver.until_job_ends()
    assert [body["stage"] for body in bodies] == [
        *("basic_features", "characteristics", "genre", "segments", "stems", "transitions", "job_completed"),
    ]
    for body in bodies:
        assert body.keys() == {"job_id", "stage", "status", "timestamp", "data"}
        assert body["job_id"] == "hash-1"
        assert body["timestamp"].endswith("Z")
    by_stage = {body["stage"]: body["data"] for body in bodies}
    _check_basic_features(by_stage["basic_features"])
    _check_characteristics(by_stage["characteristics"])
    assert by_stage["genre"] == by_stage["transitions"] == {"status": "unsupported"}
    assert by_stage["segments"]["segments"][0]["label"] == "A"
    _check_stems(by_stage["stems"])
    assert (await analyzer.call("GET", "/jobs/hash-1"))[1]["status"] == "completed"


def _check_basic_features(data: dict[str, Any]) -> None:
    assert (data["key"], data["key_name"], data["mode"], data["mode_name"]) == (9, "A", 0, "minor")
    assert 0 < data["key_strength"] <= 1
    assert data["tempo"] == pytest.approx(120, rel=0.005)
    assert data["num_beats"] == len(data["beats"]) == 24
    assert data["num_downbeats"] == len(data["downbeats"]) == 6
    assert set(data["downbeats"]) <= set(data["beats"])
    assert 0 <= data["beat_consistency"] <= 1
    assert data["firstBeatOffset"] == data["beats"][0]
    assert data["beats"][data["firstPhraseBeatNo"] - 1] in data["downbeats"]
    assert 0 <= data["audibleStartTime"] < data["audibleEndTime"] < 13
    assert [level["num_pixels"] for level in data["waveforms"]] == [1000, 4000, 16000]
    assert len(b64decode(data["waveforms"][2]["high_freq_intensity"])) == 16000


def _check_characteristics(data: dict[str, Any]) -> None:
    for name in ("danceability", "acousticness", "instrumentalness"):
        assert 0 <= data[name] <= 1
    for name in ("valence", "arousal"):
        assert 1 <= data[name] <= 9
    assert -70 <= data["loudness"] <= 0
    assert -120 <= data["energy"] <= 0
    assert data["processing_time"] >= 0
    described = set(data["method"])
    assert described == data.keys() - {"method", "processing_time"}


def _check_stems(data: dict[str, Any]) -> None:
    assert (data["delivery_mode"], data["format"]) == ("path", "flac")
    assert data["stems"].keys() == {"bass", "drums", "other", "vocals"}
    assert all(Path(path).is_file() for path in data["stems"].values())


async def test_uploaded_file_is_analysed_and_its_stems_are_fetched(analyzer: Analyzer, song: Path) -> None:
    form = aiohttp.FormData()
    form.add_field("file", _content(song), filename="what ever.flac")
    for name, value in analyzer.order("/elsewhere/song.flac", stem_delivery_mode="callback").items():
        if name != "options":
            form.add_field(name, value)
    form.add_field("options", orjson.dumps({"basic_features": True, "stems": True}).decode())
    status, body = await analyzer.call("POST", "/jobs", data=form)
    assert (status, body) == (200, {"job_id": "hash-1"})
    basic, stems, end = await analyzer.receiver.until_job_ends()
    assert basic["data"]["tempo"] == pytest.approx(120, rel=0.005)
    assert (stems["data"]["delivery_mode"], end["stage"]) == ("callback", "job_completed")
    async with analyzer.http.get(stems["data"]["stems"]["drums"], headers={"Range": "bytes=0-3"}) as answer:
        assert (answer.status, await answer.read()) == (206, b"fLaC")


async def test_file_that_is_no_audio_fails_its_job_and_nothing_else(
    analyzer: Analyzer, song: Path, tmp_path: Path
) -> None:
    bad = tmp_path / "bad.mp3"
    bad.write_text("no music")
    await analyzer.submit(bad, "bad")
    failed = (await analyzer.receiver.until_job_ends())[-1]
    assert (failed["stage"], failed["status"], failed["data"]["code"]) == ("job_failed", "failed", "undecodable")
    assert "bad.mp3" not in failed["data"]["error"]
    await analyzer.submit(song, "good")
    assert (await analyzer.receiver.until_job_ends())[-1]["stage"] == "job_completed"


HOSTILE: dict[str, np.ndarray] = {
    "one sample": np.full((1, 1), 0.5),
    "half a second": np.random.default_rng(1).uniform(-0.5, 0.5, (2, 22050)),
    "silence": np.zeros((2, 44100 * 5)),
    "constant": np.full((2, 44100 * 5), 0.7),
    "noise": np.random.default_rng(2).uniform(-1, 1, (2, 44100 * 8)),
    "one click": np.eye(1, 44100 * 5, 44100),
    "a tone": np.sin(2 * np.pi * 440 * np.arange(44100 * 6) / 44100)[None],
}


@pytest.mark.parametrize("name", HOSTILE)
async def test_sound_without_music_gives_valid_results(name: str, analyzer: Analyzer, tmp_path: Path) -> None:
    path = encoding.write(tmp_path / "odd.wav", HOSTILE[name].astype(np.float32), 44100)
    await analyzer.submit(path, options={"basic_features": True, "characteristics": True, "segments": True})
    basic, characteristics, segments, end = await analyzer.receiver.until_job_ends()
    assert end["stage"] == "job_completed"
    data = basic["data"]
    assert data["tempo"] is None or 60 <= data["tempo"] <= 200
    assert (data["tempo"] is None) == (data["beats"] == [])
    assert data["key"] is None or 0 <= data["key"] <= 11
    assert [level["num_pixels"] for level in data["waveforms"]] == [1000, 4000, 16000]
    # JSON has no NaN or infinity, so what was parsed is finite; these must be there even so.
    assert -70 <= characteristics["data"]["loudness"] < 10
    assert all(part["start"] < part["end"] for part in segments["data"]["segments"])
    if name == "silence":
        assert (data["key"], data["tempo"], "audibleStartTime" in data) == (None, None, False)


async def test_cancelled_job_ends_its_process_and_calls_back_no_more(analyzer: Analyzer, long_song: Path) -> None:
    await _at_work(analyzer, long_song)
    assert (await analyzer.call("GET", "/jobs/hash-1"))[1]["status"] == "processing"
    status, body = await analyzer.call("DELETE", "/jobs/hash-1")
    assert (status, body["status"]) == (200, "cancelled")
    assert analyzer.workers() == []
    assert (await analyzer.call("DELETE", "/jobs/hash-1"))[1]["status"] == "cancelled"
    assert analyzer.receiver.is_empty
    assert (await analyzer.call("GET", "/stats"))[1]["jobs_cancelled"] == 1


async def test_queued_job_can_be_cancelled_before_it_begins(start: Start, long_song: Path, song: Path) -> None:
    analyzer = await start("--workers", "1")
    await _at_work(analyzer, long_song, "first")
    await analyzer.submit(song, "second")
    assert (await analyzer.call("GET", "/health"))[1]["jobs_queued"] == 1
    assert (await analyzer.call("DELETE", "/jobs/second"))[1]["status"] == "cancelled"
    await analyzer.call("DELETE", "/jobs/first")
    await analyzer.submit(song, "third")
    assert {body["job_id"] for body in await analyzer.receiver.until_job_ends()} == {"third"}


async def test_killed_worker_fails_its_job_and_the_server_goes_on(
    analyzer: Analyzer, long_song: Path, song: Path
) -> None:
    worker = await _at_work(analyzer, long_song, "long")
    os.kill(worker, signal.SIGKILL)
    (failed,) = await analyzer.receiver.until_job_ends()
    assert (failed["stage"], failed["data"]["code"]) == ("job_failed", "worker_died")
    assert "SIGKILL" in failed["data"]["error"]
    await analyzer.submit(song, "short")
    assert (await analyzer.receiver.until_job_ends())[-1]["stage"] == "job_completed"


async def test_worker_is_polite_and_limited(analyzer: Analyzer, long_song: Path) -> None:
    # It has its limits before it reads the file.
    worker = await _at_work(analyzer, long_song)
    assert os.getpriority(os.PRIO_PROCESS, worker) == 15
    assert resource.prlimit(worker, resource.RLIMIT_AS)[0] == process.MEMORY_LIMIT
    assert resource.prlimit(worker, resource.RLIMIT_CPU)[0] == process.CPU_LIMIT


async def test_callback_is_repeated_until_it_is_accepted(analyzer: Analyzer, song: Path) -> None:
    analyzer.receiver.answers = [503, 429, 200]
    await analyzer.submit(song)
    bodies = await analyzer.receiver.until_job_ends()
    assert [body["stage"] for body in bodies] == ["basic_features"] * 3 + ["job_completed"]
    assert bodies[0] == bodies[1] == bodies[2]


@pytest.mark.parametrize("status", [302, 403, 422])
async def test_refused_callback_ends_the_job(status: int, analyzer: Analyzer, song: Path) -> None:
    analyzer.receiver.answers = [status] * 20
    await analyzer.submit(song)
    if status == 302:
        # No redirect is followed; it may be a proxy that is starting up, so it is tried again.
        assert (await analyzer.receiver.next())["stage"] == (await analyzer.receiver.next())["stage"]
        return
    await analyzer.logged("job finished")
    assert (await analyzer.receiver.next())["stage"] == "basic_features"
    assert analyzer.receiver.is_empty
    body = (await analyzer.call("GET", "/jobs/hash-1"))[1]
    assert body["status"] == "failed"
    assert str(status) in body["error"]


async def test_same_hash_may_be_at_work_twice(start: Start, long_song: Path) -> None:
    analyzer = await start("--workers", "1")
    assert await analyzer.submit(long_song, options={"stems": True}) == "hash-1"
    assert await analyzer.submit(long_song, options={"stems": True}) == "hash-1.2"
    assert (await analyzer.call("GET", "/jobs/hash-1.2"))[1]["status"] == "queued"


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "relative path": ({"file_path": "song.flac"}, "invalid_field"),
    "directory": ({"file_path": "/"}, "not_a_file"),
    "device": ({"file_path": "/dev/zero"}, "not_a_file"),
    "missing file": ({"file_path": "/nowhere/song.flac"}, "file_missing"),
    "zero byte in path": ({"file_path": "/a\0b"}, "invalid_field"),
    "foreign callback": ({"callback_url": "http://example.com/"}, "callback_forbidden"),
    "name that begins like loopback": ({"callback_url": "http://127.0.0.1.example.com/"}, "callback_forbidden"),
    "callback by file": ({"callback_url": "file:///etc/passwd"}, "invalid_field"),
    "callback with a password": ({"callback_url": "http://a:b@127.0.0.1/"}, "invalid_field"),
    "callback on port x": ({"callback_url": "http://127.0.0.1:x/"}, "invalid_field"),
    "unknown option": ({"options": {"tempo": True}}, "unknown_field"),
    "no option": ({"options": {"genre": False}}, "invalid_field"),
    "option that isn't yes or no": ({"options": {"genre": "yes"}}, "invalid_field"),
    "unknown field": ({"priority": 1}, "unknown_field"),
    "hash with a slash": ({"track_hash": "../x"}, "invalid_field"),
    "other delivery": ({"stem_delivery_mode": "pigeon"}, "invalid_field"),
}


async def test_wrong_requests_are_refused_by_name(analyzer: Analyzer, song: Path) -> None:
    for name, (changes, code) in REFUSED.items():
        status, body = await analyzer.call("POST", "/jobs", json=analyzer.order(song) | changes)
        assert (status, body["code"]) == (422, code), name
    for content, kind, expected in (
        (b"{", "application/json", 400),
        (b"[]", "application/json", 422),
        (b"{}", "text/plain", 415),
        (BytesIO(b" " * (2 << 20)), "application/json", 413),
    ):
        status, body = await analyzer.call("POST", "/jobs", data=content, headers={"Content-Type": kind})
        assert status == expected
        assert body.keys() == {"error", "code"}
    assert (await analyzer.call("GET", "/jobs/unknown"))[0] == 404
    assert (await analyzer.call("GET", "/nothing"))[0] == 404
    assert (await analyzer.call("PUT", "/jobs"))[0] == 405


async def test_web_pages_and_foreign_host_names_are_kept_out(analyzer: Analyzer) -> None:
    for headers in ({"Origin": "http://127.0.0.1"}, {"Host": "attacker.example"}):
        status, body = await analyzer.call("GET", "/health", headers=headers)
        assert status == 403, headers
        assert body["code"].endswith("_forbidden")


async def test_upload_above_the_limit_is_refused_and_leaves_nothing(start: Start, song: Path, tmp_path: Path) -> None:
    analyzer = await start("--max-upload-bytes", "1000", "--cache-dir", str(tmp_path))
    form = aiohttp.FormData()
    form.add_field("file", _content(song), filename="song.flac")
    assert (await analyzer.call("POST", "/jobs", data=form))[0] == 413
    assert list((tmp_path / "uploads").iterdir()) == []


async def test_allowed_file_roots_bound_the_paths(start: Start, song: Path, tmp_path: Path) -> None:
    analyzer = await start("--file-root", str(tmp_path))
    link = tmp_path / "link.flac"
    link.symlink_to(song)
    for path in (song, link):
        status, body = await analyzer.call("POST", "/jobs", json=analyzer.order(path))
        assert (status, body["code"]) == (403, "path_forbidden")
    inside = shutil.copy(song, tmp_path / "inside.flac")
    assert await analyzer.submit(inside) == "hash-1"


async def test_end_of_the_server_is_the_end_of_its_workers(analyzer: Analyzer, long_song: Path) -> None:
    worker = await _at_work(analyzer, long_song)
    analyzer.process.kill()
    await analyzer.process.wait()
    assert await asyncio.to_thread(ended, worker)


async def test_server_ends_with_its_parent_when_told_to(tmp_path: Path) -> None:
    # A shell that starts the server and waits stands for Mismo; it is killed without a chance to clean up.
    command = f"{sys.executable} -m server.analyzer --port 0 --exit-with-parent & wait"
    shell = await asyncio.create_subprocess_exec(
        *("sh", "-c", command), cwd=ROOT, stderr=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL
    )
    assert shell.stderr is not None
    assert b"listening" in await asyncio.wait_for(shell.stderr.readline(), 60)
    (server,) = children(shell.pid)
    shell.kill()
    await shell.wait()
    assert b"parent is gone" in await asyncio.wait_for(shell.stderr.read(), 60)
    assert await asyncio.to_thread(ended, server)


async def test_port_in_use_is_said_in_one_line(analyzer: Analyzer) -> None:
    port = analyzer.url.rpartition(":")[2]
    second = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "server.analyzer", "--port", port), cwd=ROOT, stderr=asyncio.subprocess.PIPE
    )
    _, complaint = await asyncio.wait_for(second.communicate(), 60)
    assert second.returncode == 1
    assert orjson.loads(complaint)["event"] == "can't start"


async def _at_work(analyzer: Analyzer, path: Path, track_hash: str = "hash-1") -> int:
    """Have the stems of a long file made; returns the process that does it, as soon as it reads the file."""
    with opening(path) as it:
        await analyzer.submit(path, track_hash, options={"stems": True})
        await it.seen()
    (worker,) = analyzer.workers()
    return worker


def _content(path: Path) -> BytesIO:
    return BytesIO(path.read_bytes())
