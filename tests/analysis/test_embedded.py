"""With the embedded analyser: a folder of music in, tempo and key out, and nothing configured for it."""

from __future__ import annotations

import math
import socket
import struct
import sys
import wave
from pathlib import Path
from typing import Any

import pytest

from server.config import Config
from tests.conftest import make_config
from tests.support.application import running


def _clicks(path: Path, tempo: float, seconds: float = 24.0, rate: int = 11_025) -> None:
    """A kick on every beat, and a hat between them."""
    period = 60 / tempo * rate
    values = []
    for n in range(int(seconds * rate)):
        since = n % period / rate
        half = (n + period / 2) % period / rate
        kick = math.sin(2 * math.pi * 55 * since) * math.exp(-since * 18)
        hat = math.sin(2 * math.pi * 4_300 * half) * math.exp(-half * 90) * 0.3
        values.append(int(24_000 * max(-1.0, min(1.0, kick + hat))))
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(struct.pack(f"<{len(values)}h", *values))


def _config(database_url: str, **settings: Any) -> Config:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return make_config(
        database_url=database_url,
        analysis_server_url=f"http://127.0.0.1:{port}",
        analysis_server_command=f"{sys.executable} -m server.analyzer --port {port}",
        **settings,
    )


@pytest.mark.parametrize("is_remote", [False, True], ids=["paths", "uploads"])
async def test_stems_come_from_the_embedded_analyser(
    database_url: str, music: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_remote: bool
) -> None:
    monkeypatch.chdir(tmp_path)  # with PostgreSQL the stems lie in the working directory's `data`
    _clicks(music / "120.wav", 120, seconds=4.0)
    config = _config(database_url, analysis_server_remote=is_remote)
    async with running(config) as mismo:
        await mismo.scanned((await mismo.added(music))["id"])
        (track,) = (await mismo.client.get("/api/tracks"))["data"]
        job = (await mismo.client.post(f"/api/tracks/{track['id']}/stems", status=202))["data"]
        assert job["priority"] == "urgent"
        assert (await mismo.app.analysis.service.outcome(job["id"])).state == "completed"
        ready = (await mismo.client.get(f"/api/tracks/{track['id']}/stems"))["data"]
        assert sorted(ready["stems"]) == ["bass", "drums", "other", "vocals"]
        for url in ready["stems"].values():
            whole = await mismo.client.request("GET", url)
            assert (whole.status, whole.content[:4]) == (200, b"fLaC")
            part = await mismo.client.request("GET", url, headers={"Range": "bytes=100-"})
            assert (part.status, part.content) == (206, whole.content[100:])


async def test_all_stages_end_done_or_unsupported_with_the_embedded_analyser(
    database_url: str, music: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    _clicks(music / "120.wav", 120, seconds=4.0)
    async with running(_config(database_url)) as mismo:
        await mismo.scanned((await mismo.added(music))["id"])
        (track,) = (await mismo.client.get("/api/tracks"))["data"]
        body = {"track_id": track["id"], "all": True}
        await mismo.client.post("/api/analysis/request", body, status=202)
        assert (await mismo.app.analysis.service.outcome(track["audio_hash"])).state == "completed"
        job = (await mismo.client.get(f"/api/analysis/status/{track['audio_hash']}"))["data"]
        assert {item["stage"]: item["status"] for item in job["results"]} == {
            "basic_features": "done", "characteristics": "done", "segments": "done", "stems": "done",
            "genre": "unsupported", "transitions": "unsupported",
        }  # fmt: skip
        assert (job["attempts"], job["stages"]) == (0, [])
        stems = await mismo.client.request("GET", f"/api/tracks/{track['id']}/stems")
        assert stems.status == 200


async def test_new_tracks_get_tempo_beats_and_waveforms_from_the_embedded_analyser(
    database_url: str, music: Path
) -> None:
    for tempo in (100, 126):
        _clicks(music / f"{tempo}.wav", tempo)
    config = _config(database_url, auto_analyze_new_tracks=True)
    async with running(config) as mismo, mismo.socket("analysis:complete") as listening:
        await mismo.scanned((await mismo.added(music))["id"])
        await listening.until(lambda _: len(listening.events) == 2)
        tracks = {track["file_name"]: track for track in (await mismo.client.get("/api/tracks"))["data"]}
        for tempo in (100, 126):
            track = tracks[f"{tempo}.wav"]
            assert abs(track["bpm"] - tempo) < tempo * 0.005
            assert track["analysis_stages"] == ["basic_features", "characteristics"]
            beats = (await mismo.client.get(f"/api/tracks/{track['id']}/beats"))["data"]["beats"]
            assert len(beats) > 30
            drawn = (await mismo.client.get(f"/api/tracks/{track['id']}/waveform", zoom=0))["data"]
            assert max(drawn["bands"]["low"]["amplitude"]) > 100
