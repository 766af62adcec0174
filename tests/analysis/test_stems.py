"""Stems: made on request, told to who asked, kept for a while."""

from __future__ import annotations

import asyncio
import base64
import shutil
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiohttp import web

from server.clock import SystemClock
from tests.analysis.conftest import Opened, Studio
from tests.support import sound
from tests.support.analysis_server import AnalysisServer, Ordered, Work

NAMES = ("bass", "drums", "other", "vocals")


def as_paths(folder: Path) -> Work:
    async def work(server: AnalysisServer, job: Ordered) -> None:
        stems = {name: str(sound.wav(folder / f"{name}.wav", name)) for name in NAMES}
        data = {
            "delivery_mode": "path",
            "format": "wav",
            "stems": stems,
            "processing_time": 1.0,
        }
        await server.call(job, "stems", data)

    return work


async def as_base64(server: AnalysisServer, job: Ordered) -> None:
    content = base64.b64encode(b"fLaC" + bytes(600_000)).decode()
    data = {
        "delivery_mode": "callback",
        "format": "flac",
        "stems": dict.fromkeys(NAMES, content),
    }
    await server.call(job, "stems", data)


async def _asked(it: Studio, track_id: str) -> dict[str, Any]:
    """Ask as a websocket client; answers what that client is told."""
    async with it.mismo.socket("analysis:stems:ready") as socket:
        headers = {"X-Mismo-Client": socket.hello["client_id"]}
        answer = await it.mismo.client.request("POST", f"/api/tracks/{track_id}/stems", headers=headers)
        assert answer.status == 202
        data: dict[str, Any] = (await socket.named("analysis:stems:ready"))["data"]
        return data


async def test_stems_are_told_to_the_client_that_asked_and_can_be_fetched(studio: Opened, tmp_path: Path) -> None:
    async with (
        studio(as_paths(tmp_path / "separated")) as it,
        it.mismo.socket("analysis:stems:ready") as other,
    ):
        track = await it.track()
        answer = await it.mismo.client.request("GET", f"/api/tracks/{track['id']}/stems")
        assert (answer.status, answer.json["code"]) == (404, "stems_not_ready")
        ready = await _asked(it, track["id"])
        assert ready["track_id"] == track["id"]
        assert sorted(ready["stems"]) == list(NAMES)
        url = ready["stems"]["drums"]
        whole = await it.mismo.client.request("GET", url)
        assert whole.content == (tmp_path / "separated" / "drums.wav").read_bytes()
        assert whole.headers["content-type"] == "audio/wav"
        part = await it.mismo.client.request("GET", url, headers={"Range": "bytes=4-7"})
        assert (part.status, part.content) == (206, whole.content[4:8])
        again = await _asked(it, track["id"])
        assert (again["stems"], len(it.server.jobs)) == (ready["stems"], 1)
        await it.mismo.settled()
        await other.send(type="ping", id="1")
        await other.reply("pong")
        assert other.events == []


async def test_stems_come_inside_the_callback(studio: Opened) -> None:
    async with studio(as_base64) as it:
        track = await it.track()
        ready = await _asked(it, track["id"])
        stem = await it.mismo.client.request("GET", ready["stems"]["bass"])
        assert stem.content == b"fLaC" + bytes(600_000)


async def test_stems_inside_a_callback_may_have_escaped_slashes(studio: Opened) -> None:
    content = b"fLaC" + b"\xff" * 400_000  # its base64 is all slashes
    body = orjson.dumps(
        {
            "job_id": "j",
            "stage": "stems",
            "data": {"format": "flac", "stems": {"bass": base64.b64encode(content).decode()}},
        }
    )

    async def escapes(server: AnalysisServer, job: Ordered) -> None:
        assert await server.call_raw(job.callback_url, body.replace(b"/", b"\\/")) == 200

    async with studio(escapes) as it:
        track = await it.track()
        ready = await _asked(it, track["id"])
        stem = await it.mismo.client.request("GET", ready["stems"]["bass"])
        assert stem.content == content
        # What came in is kept nowhere else.
        assert [path.name for path in it.mismo.app.analysis.cache.folder.iterdir()] == [track["audio_hash"]]


@pytest.mark.parametrize(
    "body",
    [
        b'{"job_id":"j","stage":"stems","data":{"stems":{"bass":"' + b"A" * 200_000 + b"\\n" + b'"}}}',
        b'{"job_id":"j","stage":"stems","data":{"stems":{"bass":"' + b"A" * 200_000,
        b'{"job_id":"j","stage":"stems","data":{"stems":{"bass":"' + b"#" * 200_000 + b'"}}}',
        b'{"job_id":"j","stage":"stems","data":[' + b'"",' * 100_000 + b"0]}",
    ],
    ids=["escapes", "no end", "no base64", "many texts"],
)
async def test_malformed_stems_inside_a_callback_fail_the_attempt(studio: Opened, body: bytes) -> None:
    statuses: asyncio.Queue[int] = asyncio.Queue()

    async def malformed(server: AnalysisServer, job: Ordered) -> None:
        statuses.put_nowait(await server.call_raw(job.callback_url, body))

    async with studio(malformed, pace={"retries": 0}) as it:
        track = await it.track()
        job = (await it.mismo.client.post(f"/api/tracks/{track['id']}/stems", status=202))["data"]
        assert (await it.outcome(job["id"]))["status"] == "failed"
        # The answer may still be on its way when the attempt has failed.
        assert await statuses.get() == 422
        assert [path.name for path in it.mismo.app.analysis.cache.folder.glob("*.body-*")] == []


async def test_stems_are_not_taken_from_what_is_no_audio_file(studio: Opened, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("password")
    link = tmp_path / "link.wav"
    link.symlink_to(sound.wav(tmp_path / "real.wav"))
    statuses = []

    async def hostile(server: AnalysisServer, job: Ordered) -> None:
        paths = (
            str(secret),
            str(link),
            "relative.wav",
            "/dev/zero",
            str(tmp_path),
            "/nowhere.wav",
            "a\0b",
        )
        orders: list[tuple[str, dict[str, Any]]] = [("path", {"bass": path}) for path in paths]
        for stems in (
            {"../bass": "x"},
            {"bass": 7},
            {},
            {"bass": "http://127.0.0.1:1/x"},
            {"bass": "!!"},
        ):
            orders.append(("callback", stems))  # noqa: PERF401 # one list of both
        statuses.extend(
            [await server.call(job, "stems", {"delivery_mode": mode, "stems": stems}) for mode, stems in orders]
        )

    async with studio(hostile) as it:
        track = await it.track()
        job = (await it.mismo.client.post(f"/api/tracks/{track['id']}/stems", status=202))["data"]
        assert job["priority"] == "urgent"
        assert (await it.outcome(job["id"]))["status"] == "failed"
        await it.server.at_rest()
        assert set(statuses) <= {422, 403}
        assert statuses[0] == 422
        answer = await it.mismo.client.request("GET", f"/api/tracks/{track['id']}/stems")
        assert answer.status == 404


async def test_stems_are_fetched_from_the_analysis_server_itself(
    studio: Opened,
) -> None:
    async def by_url(server: AnalysisServer, job: Ordered) -> None:
        stems = {"bass": f"{server.url}/jobs/{job.id}/stems"}
        await server.call(job, "stems", {"delivery_mode": "callback", "format": "ogg", "stems": stems})

    async with studio(by_url) as it:
        it.server.stem = lambda: web.Response(body=b"OggS and more")
        track = await it.track()
        ready = await _asked(it, track["id"])
        stem = await it.mismo.client.request("GET", ready["stems"]["bass"])
        assert stem.content == b"OggS and more"


async def test_least_used_stems_make_room_for_new_ones(studio: Opened, tmp_path: Path) -> None:
    async with studio(as_paths(tmp_path / "separated"), stem_cache_max_bytes=30_000) as it:
        first, second, third = await it.tracks("a", "b", "c")
        # Four stems of some 3 kB each: two tracks fit, not three.
        await _asked(it, first["id"])
        await _asked(it, second["id"])
        await it.mismo.client.get(f"/api/tracks/{first['id']}/stems")
        await _asked(it, third["id"])
        answers = [
            (await it.mismo.client.request("GET", f"/api/tracks/{track['id']}/stems")).status
            for track in (first, second, third)
        ]
        assert answers == [200, 404, 200]


async def test_stems_are_gone_after_their_time(studio: Opened, tmp_path: Path) -> None:
    async with studio(as_paths(tmp_path / "separated"), stem_ttl=1) as it:
        track = await it.track()
        await _asked(it, track["id"])
        cache = it.mismo.app.analysis.cache
        cache.clock = _Later()
        answer = await it.mismo.client.request("GET", f"/api/tracks/{track['id']}/stems")
        assert answer.status == 404
        await cache.sweep()
        assert list(cache.folder.iterdir()) == []


async def test_track_whose_stems_were_made_is_known_for_it_and_they_can_be_made_again(
    studio: Opened, tmp_path: Path
) -> None:
    async with studio(as_paths(tmp_path / "separated")) as it:
        first, second = await it.tracks("a", "b")
        await _asked(it, first["id"])
        assert (await it.get(first["id"]))["analysis_stages"] == ["stems"]
        for has_stems, expected in ((True, first), (False, second)):
            body = {"criteria": {"has_stems": has_stems}}
            preview = (await it.mismo.client.post("/api/playlists/preview", body))["data"]
            assert [track["id"] for track in preview["tracks"]] == [expected["id"]]
        shutil.rmtree(it.mismo.app.analysis.cache.folder)
        await _asked(it, first["id"])
        assert len(it.server.jobs) == 2


class _Later:
    """A clock that is an hour ahead."""

    def now_ms(self) -> int:
        return SystemClock().now_ms() + 3_600_000


async def test_stems_that_come_several_times_at_once_are_whole_each_time(studio: Opened, tmp_path: Path) -> None:
    async def work(server: AnalysisServer, job: Ordered) -> None:
        stems = {name: str(sound.wav(tmp_path / f"{name}.wav", name)) for name in NAMES}
        data = {"delivery_mode": "path", "format": "wav", "stems": stems}
        async with asyncio.TaskGroup() as group:
            for _ in range(5):
                group.create_task(server.call(job, "stems", data))

    async with studio(work) as it:
        track = await it.track()
        ready = await _asked(it, track["id"])
        assert sorted(ready["stems"]) == list(NAMES)
        for name, url in ready["stems"].items():
            whole = await it.mismo.client.request("GET", url)
            assert whole.content == (tmp_path / f"{name}.wav").read_bytes()
