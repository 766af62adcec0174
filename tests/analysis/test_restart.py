"""Mismo or the analysis server goes away in the midst of it, and nothing is lost."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import replace
from pathlib import Path

from server.analysis.pace import Pace
from server.config import Config
from tests.analysis.conftest import QUICK
from tests.conftest import make_config
from tests.support import sound
from tests.support.analysis_server import AnalysisServer, Ordered, analysis_server, good
from tests.support.application import Running, running

PATIENT: Pace = replace(QUICK, timeout=20.0)


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
        return port


async def _ask_for(mismo: Running, music: Path, count: int) -> list[str]:
    """Make tracks and ask for all of them; answers the ids of the jobs."""
    for seed in range(count):
        sound.mp3(music / f"{seed}.mp3", seed)
    await mismo.scanned((await mismo.added(music))["id"])
    tracks = (await mismo.client.get("/api/tracks"))["data"]
    await mismo.client.post(
        "/api/analysis/request",
        {"track_ids": [track["id"] for track in tracks]},
        status=202,
    )
    return [track["audio_hash"] for track in tracks]


async def _all_end(mismo: Running, jobs: list[str]) -> list[str]:
    return [(await mismo.app.analysis.service.outcome(job)).state for job in jobs]


async def _until_given(mismo: Running, count: int) -> None:
    """Wait until the server has jobs, and Mismo knows by which ids."""
    sql = "SELECT count(*) FROM analysis_jobs WHERE server_job_id IS NOT NULL"
    # The broker is woken whenever a job was handed over, and that is in the database.
    handed_over = mismo.app.analysis.service._queue.woken
    async with asyncio.timeout(20):
        while True:
            next_one = asyncio.create_task(handed_over.wait())
            if await mismo.app.database.fetch_value(sql) >= count:
                next_one.cancel()
                return
            await next_one


def _config(database_url: str, server: AnalysisServer) -> Config:
    return make_config(database_url=database_url, analysis_server_url=server.url)


async def test_queued_jobs_survive_a_restart(database_url: str, music: Path) -> None:
    async with analysis_server() as server:
        server.is_ill = True
        async with running(_config(database_url, server), analysis_pace=PATIENT) as mismo:
            jobs = await _ask_for(mismo, music, 5)
        server.is_ill = False
        async with running(_config(database_url, server), analysis_pace=PATIENT) as mismo:
            assert await _all_end(mismo, jobs) == ["completed"] * 5


async def test_running_jobs_are_taken_up_when_mismo_is_back_at_its_address(database_url: str, music: Path) -> None:
    go_on = asyncio.Event()

    async def waits(server: AnalysisServer, job: Ordered) -> None:
        await go_on.wait()
        await good(server, job)

    port = free_port()
    async with analysis_server(waits) as server:
        config = _config(database_url, server)
        async with running(config, analysis_pace=PATIENT, port=port) as mismo:
            jobs = await _ask_for(mismo, music, 2)
            await _until_given(mismo, 2)
        async with running(config, analysis_pace=PATIENT, port=port) as mismo:
            go_on.set()
            assert await _all_end(mismo, jobs) == ["completed"] * 2
        assert len(server.jobs) == 2


async def test_running_jobs_are_asked_again_when_nobody_hears_their_results(database_url: str, music: Path) -> None:
    async def deaf_at_first(server: AnalysisServer, job: Ordered) -> None:
        if len(server.jobs) > 2:
            await good(server, job)

    async with analysis_server(deaf_at_first) as server:
        config = _config(database_url, server)
        # On PostgreSQL it might be another Mismo that has them, until their lease has run out.
        impatient = replace(PATIENT, lease=0.5)
        async with running(config, analysis_pace=impatient) as mismo:
            jobs = await _ask_for(mismo, music, 2)
            await _until_given(mismo, 2)
            first = list(server.jobs)
        # At another address: the results of the first round would go nowhere.
        async with running(config, analysis_pace=impatient) as mismo:
            async with asyncio.timeout(20):
                assert await _all_end(mismo, jobs) == ["completed"] * 2
            async with asyncio.timeout(20):
                await server.let_go(*first)


async def test_jobs_that_ended_while_mismo_was_down_are_asked_again(database_url: str, music: Path) -> None:
    async def ends_unheard(server: AnalysisServer, job: Ordered) -> None:
        if len(server.jobs) > 1:
            await good(server, job)

    port = free_port()
    async with analysis_server(ends_unheard) as server:
        config = _config(database_url, server)
        async with running(config, analysis_pace=PATIENT, port=port) as mismo:
            jobs = await _ask_for(mismo, music, 1)
            await _until_given(mismo, 1)
        for job in server.jobs.values():
            job.status = "completed"
        async with running(config, analysis_pace=PATIENT, port=port) as mismo:
            assert await _all_end(mismo, jobs) == ["completed"]
            assert (await mismo.app.analysis.service.job(jobs[0])).attempts == 0


async def test_jobs_of_a_server_that_died_are_asked_again(database_url: str, music: Path) -> None:
    port = free_port()

    async def dies(_: AnalysisServer, __: Ordered) -> None:
        return

    config = make_config(database_url=database_url, analysis_server_url=f"http://127.0.0.1:{port}")
    async with running(config, analysis_pace=PATIENT) as mismo:
        async with analysis_server(dies, port=port):
            jobs = await _ask_for(mismo, music, 3)
            await _until_given(mismo, 2)
        async with analysis_server(port=port):
            assert await _all_end(mismo, jobs) == ["completed"] * 3


async def test_start_does_not_wait_for_the_analysis_server(database_url: str) -> None:
    # An address that never answers: nothing listens, and nothing refuses.
    config = make_config(database_url=database_url, analysis_server_url="http://192.0.2.1:5000")
    async with asyncio.timeout(20):
        async with running(config) as mismo:
            assert (await mismo.client.get("/readyz"))["status"] == "ok"
