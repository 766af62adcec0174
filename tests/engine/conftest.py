"""A Mismo whose engine and analysis server are stand-ins."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from server.config import Config
from server.engine.pace import Pace
from tests.analysis.conftest import QUICK
from tests.support import sound
from tests.support.analysis_server import RESULTS, AnalysisServer, Ordered, analysis_server, good
from tests.support.application import Running, running
from tests.support.clock import MovedClock
from tests.support.engine import StandInEngine, standing_in

# The link comes back at once.
BRISK = Pace(first_pause=0.001, longest_pause=0.01)
UNKNOWN = "01890000-0000-7000-8000-000000000000"


@pytest.fixture
async def engine() -> AsyncIterator[StandInEngine]:
    async with standing_in() as found:
        yield found


@pytest.fixture
def clock() -> MovedClock:
    return MovedClock()


class Desk:
    """The stand-in analysis server's way of working: it answers when its gate is open; `stems` is what it makes.

    `begun` is set when it has a job; `beats` are those it finds in place of a few.
    """

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.gate.set()
        self.begun = asyncio.Event()
        self.stems: dict[str, Any] = {}
        self.beats: list[float] = []

    async def work(self, server: AnalysisServer, job: Ordered) -> None:
        self.begun.set()
        await self.gate.wait()
        if "stems" in job.stages:
            await server.call(job, "stems", self.stems)
        elif self.beats:
            await server.call(job, "basic_features", {**RESULTS["basic_features"](), "beats": self.beats})
            await server.send(job, [stage for stage in job.stages if stage != "basic_features"])
            await server.call(job, "job_completed")
        else:
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
            analysis_server_url=server.url,
        )


@pytest.fixture
async def linked(settings: Config, engine: StandInEngine, clock: MovedClock) -> AsyncIterator[Running]:
    """A server whose engine is connected."""
    async with running(settings, clock, analysis_pace=QUICK, engine_pace=BRISK) as mismo:
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
