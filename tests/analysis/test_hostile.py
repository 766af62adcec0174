"""An analysis server that answers with what nobody expects: the job fails or goes on, and Mismo answers everybody."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import orjson
import pytest
from aiohttp import web

from server.analysis.stage import Stage
from tests.analysis.conftest import Opened
from tests.support.analysis_server import AnalysisServer, Ordered, good, silent


def nested(levels: int) -> Any:
    """Lists in lists; JSON readers go deeper than writers."""
    return orjson.loads("[" * levels + "]" * levels)


@pytest.mark.parametrize("name", ["/etc/x", "a/../b", "ü ?#%2F&", "http://elsewhere/", 17, " "])
async def test_job_may_have_any_name_at_the_server(studio: Opened, name: Any) -> None:
    async with studio(silent) as it:
        it.server.names = itertools.repeat(name)
        track = await it.track()
        async with it.mismo.socket("analysis:started") as socket:
            job = await it.request(track_id=track["id"])
            await socket.named("analysis:started")
        await it.mismo.client.delete(f"/api/analysis/jobs/{job['id']}")
        await it.server.let_go(str(name))


async def test_job_that_is_called_off_while_the_server_still_thinks_is_let_go_there(studio: Opened) -> None:
    called_off = asyncio.Event()

    async def thinks(_: web.Request) -> web.Response:
        await called_off.wait()
        return web.json_response({"job_id": "late"})

    async with studio(silent) as it:
        it.server.submit_fault = thinks
        track = await it.track()
        async with it.mismo.socket("analysis:started") as socket:
            job = await it.request(track_id=track["id"])
            await socket.named("analysis:started")
        await it.mismo.client.delete(f"/api/analysis/jobs/{job['id']}")
        called_off.set()
        await it.server.let_go("late")


@pytest.mark.parametrize("name", ["..", ".", "", True, None, "\0", "x" * 201, ["x"], {"id": 1}, 1.5])
async def test_order_that_is_answered_with_no_usable_name_fails(studio: Opened, name: Any) -> None:
    async with studio(silent, {"retries": 0}) as it:
        it.server.names = itertools.repeat(name)
        track = await it.track()
        job = await it.outcome((await it.request(track_id=track["id"]))["id"])
        assert job["status"] == "failed"
        assert "job_id" in job["error"]


async def test_name_that_is_a_number_is_one_in_callbacks_too(studio: Opened) -> None:
    async with studio(good) as it:
        it.server.names = itertools.count(17)
        track = await it.track()
        job = await it.outcome((await it.request(track_id=track["id"]))["id"])
        assert job["status"] == "completed"


@pytest.mark.parametrize("stage", [Stage.SEGMENTS, Stage.CHARACTERISTICS, Stage.BASIC_FEATURES])
@pytest.mark.parametrize("levels", [70, 245, 260, 900, 2000])
async def test_result_that_is_nested_too_deeply_is_refused(studio: Opened, stage: Stage, levels: int) -> None:
    answers = []

    async def nests(server: AnalysisServer, job: Ordered) -> None:
        content = orjson.dumps({"job_id": job.id, "stage": stage, "data": {"extra": "X"}})
        content = content.replace(b'"X"', b"[" * levels + b"]" * levels)
        answers.append(await server.call_raw(job.callback_url, content))

    async with studio(nests, {"retries": 0}) as it:
        track = await it.track()
        job = await it.outcome((await it.request(track_id=track["id"], stages=[stage]))["id"])
        assert (job["status"], job["results"]) == ("failed", [])
    assert answers == [422]


async def test_result_with_some_levels_is_kept_as_it_is(studio: Opened) -> None:
    kept = {"tree": nested(40), "text": "a\0b", "big": 2**64 - 1}

    async def nests(server: AnalysisServer, job: Ordered) -> None:
        assert await server.call(job, "segments", kept) == 200
        await server.call(job, "job_completed")

    async with studio(nests) as it:
        track = await it.track()
        job = await it.outcome((await it.request(track_id=track["id"], stages=["segments"]))["id"])
        (result,) = job["results"]
        assert result["data"] == kept


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (nested(900), "job_failed"),
        ({"message": "out of tubes", "code": 7}, "out of tubes"),
        ("out\0of tubes", "out of tubes"),
        (17, "job_failed"),
        ("x" * 5000, "x" * 1000),
    ],
)
async def test_failure_is_told_whatever_its_reason_is(studio: Opened, error: Any, told: str) -> None:
    answers = []

    async def fails(server: AnalysisServer, job: Ordered) -> None:
        content = orjson.dumps({"job_id": job.id, "stage": "job_failed", "status": "failed", "data": {"error": "X"}})
        text = "[" * 900 + "]" * 900 if isinstance(error, list) else orjson.dumps(error).decode()
        answers.append(await server.call_raw(job.callback_url, content.replace(b'"X"', text.encode())))

    async with studio(fails, {"retries": 0}) as it:
        track = await it.track()
        job = await it.outcome((await it.request(track_id=track["id"]))["id"])
        assert (job["status"], job["error"]) == ("failed", f"the analysis server reports: {told}")
    assert answers == [200]


@pytest.mark.parametrize(
    "standing",
    [
        {"version": [1, 2], "jobs_queued": "many", "jobs_processing": -1.5},
        {"version": "1", "jobs_queued": 2**64 - 1, "jobs_processing": {}},
        {"version": "a\0b"},
        [],
    ],
)
async def test_health_is_answered_whatever_the_server_says(studio: Opened, standing: Any) -> None:
    async with studio(good) as it:
        it.server.standing = standing
        health = (await it.mismo.client.get("/api/analysis/health"))["data"]
        assert health["state"] == "ok"
        assert isinstance(health["version"], str | None)
        for name in ("jobs_queued", "jobs_processing"):
            assert isinstance(health[name], int | None)


@pytest.mark.parametrize("status", [["done"], {"is": "done"}, 17])
async def test_job_whose_state_is_no_word_goes_on_until_it_is_done(studio: Opened, status: Any) -> None:
    async def works(server: AnalysisServer, job: Ordered) -> None:
        job.status = status
        await job.was_asked_after.wait()
        await good(server, job)

    async with studio(works, {"ask_after": 0.01}) as it:
        track = await it.track()
        job = await it.outcome((await it.request(track_id=track["id"]))["id"])
        assert (job["status"], job["attempts"]) == ("completed", 0)


@pytest.mark.parametrize("url", ["http://[bad/x", "http://", "https://:0:0/", "http://user@/"])
async def test_stems_at_an_address_that_is_none_are_refused(studio: Opened, url: str) -> None:
    answers = []

    async def sends(server: AnalysisServer, job: Ordered) -> None:
        data = {"delivery_mode": "path", "format": "wav", "stems": {"bass": url}}
        answers.append(await server.call(job, "stems", data))

    async with studio(sends, {"retries": 0}) as it:
        track = await it.track()
        await it.mismo.client.post(f"/api/tracks/{track['id']}/stems", status=202)
        job = await it.outcome(track["audio_hash"])
        assert job["status"] == "failed"
    assert answers == [422]
