"""An analysis server with every fault that one may have: each job still ends once, and its results count once."""

from __future__ import annotations

import asyncio
import resource
import time
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
from aiohttp import web

from tests.analysis.conftest import Opened, Studio
from tests.support.analysis_server import (
    RESULTS,
    AnalysisServer,
    Ordered,
    Work,
    basic_features,
    good,
    silent,
    waveform,
)


async def ended_once(it: Studio, job_id: str) -> str:
    """How a job ended; it is announced once, and nothing follows."""
    ended = await it.outcome(job_id)
    await it.mismo.settled()
    async with it.mismo.socket("*", since=0) as socket:
        await socket.up_to(it.mismo.app.log.seq)
    ends = [event for event in socket.events if event["event"] in ("analysis:complete", "analysis:failed")]
    assert [event["data"]["job"]["status"] for event in ends] == [ended["status"]]
    stages = [event["data"]["stage"] for event in socket.events if event["event"] == "analysis:stage"]
    assert len(stages) == len(set(stages))
    status: str = ended["status"]
    return status


async def repeats(server: AnalysisServer, job: Ordered) -> None:
    for _ in range(3):
        await server.send(job)
        await server.call(job, "job_completed")


async def reorders(server: AnalysisServer, job: Ordered) -> None:
    job.status = "completed"
    await server.call(job, "job_completed")
    await server.send(job, job.stages[::-1])


async def omits_the_end(server: AnalysisServer, job: Ordered) -> None:
    await server.send(job)


async def drips(server: AnalysisServer, job: Ordered) -> None:
    async def slowly(content: bytes) -> AsyncIterator[bytes]:
        step = len(content) // 8 + 1
        for start in range(0, len(content), step):
            yield content[start : start + step]
            await asyncio.sleep(0.005)

    for stage in job.stages:
        body = orjson.dumps(
            {
                "job_id": job.id,
                "stage": stage,
                "status": "completed",
                "data": RESULTS[stage](),
            }
        )
        assert await server.call_raw(job.callback_url, slowly(body), stage) == 200


async def fails_at_first(server: AnalysisServer, job: Ordered) -> None:
    if len(server.jobs) == 1:
        await server.call(job, "job_failed", {"error": "out of tubes"}, "failed")
    else:
        await good(server, job)


async def sends_half_at_first(server: AnalysisServer, job: Ordered) -> None:
    await server.send(job, job.stages[:1])
    job.status = "completed"
    await server.call(job, "job_completed")


async def forgets_the_first(server: AnalysisServer, job: Ordered) -> None:
    if len(server.jobs) == 1:
        server.jobs["gone"] = server.jobs.pop(job.id)
    else:
        await good(server, job)


@pytest.mark.parametrize(
    "work",
    [
        repeats,
        reorders,
        omits_the_end,
        drips,
        fails_at_first,
        sends_half_at_first,
        forgets_the_first,
    ],
    ids=lambda work: work.__name__,
)
async def test_job_completes_in_spite_of(studio: Opened, work: Work) -> None:
    async with studio(work) as it:
        track = await it.track()
        job = await it.request(track_id=track["id"])
        assert await ended_once(it, job["id"]) == "completed"
        assert (await it.get(track["id"]))["bpm"] == 128.0


async def always_fails(server: AnalysisServer, job: Ordered) -> None:
    await server.call(job, "error", {"error": "no such codec"}, "failed")


async def sends_nan(server: AnalysisServer, job: Ordered) -> None:
    body = orjson.dumps(
        {
            "job_id": job.id,
            "stage": "basic_features",
            "data": {**basic_features(), "tempo": 0},
        }
    )
    assert await server.call_raw(job.callback_url, body.replace(b'"tempo":0', b'"tempo":NaN')) == 422


async def sends_no_json(server: AnalysisServer, job: Ordered) -> None:
    assert await server.call_raw(job.callback_url, b"{") == 422


async def sends_too_much(server: AnalysisServer, job: Ordered) -> None:
    async def endless() -> AsyncIterator[bytes]:
        block = b'{"job_id":"' + b"x" * 1_000_000
        for _ in range(10_000):
            yield block

    assert await server.call_raw(job.callback_url, endless()) in (413, 0)


@pytest.mark.parametrize(
    ("work", "reason"),
    [
        (silent, "no result in time"),
        (always_fails, "no such codec"),
        (sends_nan, "isn't valid JSON"),
        (sends_no_json, "isn't valid JSON"),
        (sends_too_much, "larger than the limit"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
async def test_job_fails_after_its_retries_with_a_server_that(studio: Opened, work: Work, reason: str) -> None:
    # Only one that says nothing has to be waited for.
    async with studio(work, pace={"timeout": 0.2} if work is silent else {}) as it:
        track = await it.track()
        job = await it.request(track_id=track["id"])
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        assert await ended_once(it, job["id"]) == "failed"
        described = (await it.mismo.client.get(f"/api/analysis/status/{job['id']}"))["data"]
        assert reason in described["error"]
        assert (described["attempts"], len(it.server.jobs)) == (3, 3)
        # 10 GB were offered; a callback's limit is 8 MiB.
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000


def _absurd() -> list[Any]:
    beyond = (
        ["tempo", 100_000],
        ["tempo", "fast"],
        ["key", 12],
        ["key", 1.5],
        ["mode", 2],
        ["firstBeatOffset", -1],
    )
    lists = (
        ["beats", [2.0, 1.0]],
        ["beats", [1, "2"]],
        ["beats", "all"],
        ["beats", [1e9]],
        ["downbeats", [None]],
    )
    short = {**waveform(0), "num_pixels": 7}
    broken = {**waveform(0), "low_freq_amplitude": "not base64!"}
    loud = {**waveform(0), "low_freq_amplitude": [256] * 1000}
    drawn = (["waveforms", [item]] for item in (short, broken, loud, {}, 7))
    twice = ["waveforms", [waveform(0), waveform(0)]]
    return [*beyond, *lists, *drawn, twice]


async def test_absurd_values_are_refused(studio: Opened) -> None:
    refused: list[tuple[str, int]] = []

    async def absurd(server: AnalysisServer, job: Ordered) -> None:
        for name, value in _absurd():
            status = await server.call(job, "basic_features", {**basic_features(), name: value})
            refused.append((f"{name}={str(value)[:40]}", status))
        for name, value in (
            ("valence", 0),
            ("danceability", 2),
            ("energy", 1e6),
            ("loudness", []),
        ):
            data = {**RESULTS["characteristics"](), name: value}
            refused.append((name, await server.call(job, "characteristics", data)))

    async with studio(absurd) as it:
        track = await it.track()
        assert await ended_once(it, (await it.request(track_id=track["id"]))["id"]) == "failed"
        await it.server.at_rest()
        assert [item for item in refused if item[1] not in (422, 403)] == []
        assert refused[0][1] == 422
        assert (await it.get(track["id"]))["is_analyzed"] is False


async def test_callback_without_the_right_token_changes_nothing(studio: Opened) -> None:
    statuses = []

    async def forge(server: AnalysisServer, job: Ordered) -> None:
        base, token = job.callback_url.rsplit("/", 1)
        assert len(token) >= 22  # 128 bits in base64
        body = orjson.dumps(
            {
                "job_id": job.id,
                "stage": "basic_features",
                "data": basic_features(tempo=66.6),
            }
        )
        forgeries = (
            base,
            f"{base}/{token[:-1]}",
            f"{base}/{'A' * 43}",
            f"{base}/{job.track_hash}",
        )
        statuses.extend([await server.call_raw(forged, body) for forged in forgeries])
        await good(server, job)

    async with studio(forge) as it:
        track = await it.track()
        await it.outcome((await it.request(track_id=track["id"]))["id"])
        assert statuses == [403, 403, 403, 403]
        assert (await it.get(track["id"]))["bpm"] == 128.0


async def test_token_of_an_attempt_that_was_replaced_is_refused(studio: Opened) -> None:
    urls: list[Ordered] = []
    late = asyncio.Event()

    async def late_first(server: AnalysisServer, job: Ordered) -> None:
        urls.append(job)
        if len(urls) > 1:
            assert await server.call(urls[0], "job_failed", {"error": "late"}) == 403
            await good(server, job)
            late.set()

    async with studio(late_first, pace={"timeout": 0.2}) as it:
        track = await it.track()
        job = await it.request(track_id=track["id"])
        assert await ended_once(it, job["id"]) == "completed"
        await late.wait()
        assert (await it.outcome(job["id"]))["attempts"] >= 1


async def test_callbacks_after_the_end_are_taken_and_change_nothing(
    studio: Opened,
) -> None:
    async with studio() as it:
        track = await it.track()
        job = await it.request(track_id=track["id"])
        await it.outcome(job["id"])
        await it.mismo.settled()
        before = it.mismo.app.log.seq
        (ordered,) = it.server.jobs.values()
        for stage in ("basic_features", "characteristics"):
            assert await it.server.call(ordered, stage, RESULTS[stage]()) == 200
        assert await it.server.call(ordered, "job_completed") == 200
        assert await it.server.call(ordered, "job_failed", {"error": "too late"}, "failed") == 200
        assert it.mismo.app.log.seq == before


async def test_job_that_failed_is_complete_once_all_its_results_have_come_late(studio: Opened) -> None:
    async def sends_nonsense(server: AnalysisServer, job: Ordered) -> None:
        await server.call(job, "basic_features", {"mode_name": 5})

    async with studio(sends_nonsense, pace={"retries": 0}) as it:
        job = await it.request(track_id=(await it.track())["id"])
        assert (await it.outcome(job["id"]))["status"] == "failed"
        (ordered,) = it.server.jobs.values()
        async with it.mismo.socket("analysis:*") as socket:
            assert await it.server.call(ordered, "characteristics", RESULTS["characteristics"]()) == 200
            after_one = await it.outcome(job["id"])
            assert (after_one["status"], after_one["stages"]) == ("failed", ["basic_features"])
            assert await it.server.call(ordered, "basic_features", RESULTS["basic_features"]()) == 200
            told = (await socket.named("analysis:complete"))["data"]["job"]
        ended = await it.outcome(job["id"])
        assert [(end["status"], end["error"], end["stages"]) for end in (told, ended)] == [("completed", None, [])] * 2
        counts = (await it.mismo.client.get("/api/analysis/queue"))["data"]["states"]
        assert (counts["completed"], counts["failed"]) == (1, 0)


async def answers_500(_: web.Request) -> web.StreamResponse:
    return web.json_response({"error": "no idea"}, status=500)


async def hangs(_: web.Request) -> web.StreamResponse:
    await asyncio.sleep(60)
    raise AssertionError("nobody waits that long")


async def answers_endlessly(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse()
    await answer.prepare(request)
    try:
        while True:
            await answer.write(b" " * 65_536)
    except ConnectionError:
        return answer


async def drips_its_answer(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse()
    await answer.prepare(request)
    try:
        while True:
            await answer.write(b" ")
            await asyncio.sleep(0.01)
    except ConnectionError:
        return answer


async def names_no_job(_: web.Request) -> web.StreamResponse:
    return web.json_response({"job_id": ["a"]})


async def hangs_up(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.close()
    return web.Response()


@pytest.mark.parametrize(
    "fault",
    [answers_500, hangs, answers_endlessly, drips_its_answer, names_no_job, hangs_up],
    ids=lambda fault: fault.__name__,
)
async def test_job_fails_in_the_end_when_a_server_only(studio: Opened, fault: Any) -> None:
    async with studio(pace={"answer": 0.1, "retries": 1, "losses": 2}) as it:
        it.server.submit_fault = fault
        track = await it.track()
        job = await it.request(track_id=track["id"])
        assert await ended_once(it, job["id"]) == "failed"
        described = (await it.mismo.client.get(f"/api/analysis/status/{job['id']}"))["data"]
        assert "analysis server" in described["error"]


async def test_job_waits_while_the_server_is_away(studio: Opened) -> None:
    async with studio() as it:
        it.server.is_ill = True
        track = await it.track()
        job = await it.request(track_id=track["id"])
        health = (await it.mismo.client.get("/api/analysis/health"))["data"]
        assert health["state"] == "away"
        assert (await it.mismo.client.get(f"/api/analysis/status/{job['id']}"))["data"]["status"] == "queued"
        it.server.is_ill = False
        ended = await it.outcome(job["id"])
        assert (ended["status"], ended["attempts"]) == ("completed", 0)


async def test_server_with_no_room_is_no_failed_attempt(studio: Opened) -> None:
    async with studio() as it:
        refused = 0

        async def busy(_: web.Request) -> web.StreamResponse:
            nonlocal refused
            refused += 1
            if refused > 5:
                it.server.submit_fault = None
            return web.json_response({"error": "full"}, status=503)

        it.server.submit_fault = busy
        track = await it.track()
        ended = await it.outcome((await it.request(track_id=track["id"]))["id"])
        assert (ended["status"], ended["attempts"]) == ("completed", 0)


async def test_cancelled_job_is_dropped_at_the_server(studio: Opened) -> None:
    async with studio(silent, pace={"timeout": 30.0}) as it:
        track = await it.track()
        async with it.mismo.socket("analysis:*") as socket:
            job = await it.request(track_id=track["id"])
            await socket.named("analysis:started")
            while not it.server.jobs or not await _is_accepted(it, job["id"]):
                await it.mismo.client.get("/livez")
            cancelled = (await it.mismo.client.delete(f"/api/analysis/jobs/{job['id']}"))["data"]
            assert cancelled["status"] == "cancelled"
            await it.server.let_go(*it.server.jobs)
        assert it.server.dropped == list(it.server.jobs)
        answer = await it.mismo.client.request("DELETE", f"/api/analysis/jobs/{job['id']}")
        assert (answer.status, answer.json["code"]) == (409, "job_ended")
        it.server.work = good
        again = (await it.mismo.client.post(f"/api/analysis/jobs/{job['id']}/retry", status=202))["data"]
        assert again["status"] == "queued"
        assert (await it.outcome(job["id"]))["status"] == "completed"
        answer = await it.mismo.client.request("POST", f"/api/analysis/jobs/{job['id']}/retry")
        assert (answer.status, answer.json["code"]) == (409, "job_active")


async def _is_accepted(it: Studio, job_id: str) -> bool:
    row = await it.mismo.app.database.fetch_one(
        "SELECT server_job_id FROM analysis_jobs WHERE audio_hash = :hash",
        {"hash": job_id},
    )
    return row is not None and row[0] is not None


async def test_job_without_a_file_closes_and_comes_back_with_it(studio: Opened) -> None:
    async with studio() as it:
        track = await it.track()
        kept = (it.music / "one.mp3").rename(it.music.parent / "kept.mp3")
        job = await it.request(track_id=track["id"])
        ended = await it.outcome(job["id"])
        assert (ended["status"], ended["error"]) == (
            "file_missing",
            "no file with this audio can be reached",
        )
        assert it.server.jobs == {}
        async with it.mismo.socket("analysis:complete") as socket:
            kept.rename(it.music / "one.mp3")
            await socket.named("analysis:complete")


_MIB = 1024 * 1024


def _callback(data: bytes) -> bytes:
    return b'{"job_id":"j","stage":"basic_features","status":"completed","data":' + data + b"}"


def _largest_result() -> bytes:
    """Waveforms as lists of numbers, and the beats of a mix of many hours."""
    drawn = []
    for zoom, pixels in enumerate((1000, 4000, 16000)):
        names = [name for name in waveform(zoom) if name.endswith(("amplitude", "intensity"))]
        drawn.append({**waveform(zoom), **{name: [n % 97 / 97 for n in range(pixels)] for name in names}})
    data = {**basic_features(), "waveforms": drawn, "beats": [round(n * 0.35, 3) for n in range(100_000)]}
    return _callback(orjson.dumps(data))


HEAVY = {
    "the largest result": (_largest_result, 200),
    "lists": (lambda: _callback(b'{"x":[' + b"[]," * (2 * _MIB) + b"0]}"), 422),
    "objects": (lambda: _callback(b'{"x":[' + b"{}," * (2 * _MIB) + b"0]}"), 422),
    "numbers": (lambda: _callback(b'{"x":[' + b"0," * (3 * _MIB) + b"0]}"), 422),
    "nested lists": (lambda: _callback(b"[" * (7 * _MIB)), 422),
    "names": (lambda: _callback(b"{" + b",".join(b'"%x":0' % n for n in range(600_000)) + b"}"), 422),
    "a long text": (lambda: _callback(b'{"x":"' + b"x" * (7 * _MIB) + b'"}'), 422),
}


@pytest.mark.parametrize("name", HEAVY)
async def test_event_loop_is_not_held_by(studio: Opened, name: str) -> None:
    made, expected = HEAVY[name]
    content, statuses = made(), []

    async def heavy(server: AnalysisServer, job: Ordered) -> None:
        statuses.append(await server.call_raw(job.callback_url, content))

    async with studio(heavy, pace={"timeout": 30.0, "retries": 0}) as it:
        # On a busy machine a thread that works while the loop waits for a core counts, too; what holds it, each time.
        for attempt in range(3):
            held = await _longest_without_loop(it, (await it.track(attempt))["id"])
            share = held / _cost_of_parsing(HEAVY["objects"][0]())
            if share < 1 / 3:
                break
        await it.server.at_rest()
        assert set(statuses) == {expected}
        assert share < 1 / 3, f"the event loop was held for {share:.2f} of the time that parsing takes"


async def _longest_without_loop(it: Studio, track: str) -> float:
    """What all threads of this process worked at most, in seconds, while the loop couldn't: others don't count."""
    longest, is_over = 0.0, False

    async def watch() -> None:
        nonlocal longest
        while not is_over:
            before = time.process_time()
            await asyncio.sleep(0.001)
            longest = max(longest, time.process_time() - before)

    async with asyncio.TaskGroup() as group:
        group.create_task(watch())
        await it.outcome((await it.request(track_id=track, stages=["basic_features"]))["id"])
        is_over = True
    return longest


def _cost_of_parsing(content: bytes) -> float:
    """What a body that was let through costs here and now, in seconds of processor time."""
    before = time.process_time()
    parsed = orjson.loads(content)
    cost = time.process_time() - before
    assert parsed
    return cost
