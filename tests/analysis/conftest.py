"""A Mismo whose queue is in a hurry, beside a stand-in analysis server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from server.analysis.pace import Pace
from tests.conftest import make_config
from tests.support import sound
from tests.support.analysis_server import AnalysisServer, Work, analysis_server, good
from tests.support.application import Running, running

QUICK = Pace(
    timeout=60.0, retries=2, retry=0.02, losses=3, tick=0.02, ask_after=0.05, afterthought=0.2, away=0.05,
    longest_away=0.1, answer=30.0, missing=0.05, idle=0.05,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Studio:
    """A running Mismo, its analysis server, and a library directory."""

    mismo: Running
    server: AnalysisServer
    music: Path
    directory_id: str

    async def tracks(self, *seeds: object) -> list[dict[str, Any]]:
        """Add files with audio of their own, in the order given; answers all tracks by path."""
        for seed in seeds:
            sound.mp3(self.music / f"{seed}.mp3", seed)
        await self.mismo.scanned(self.directory_id)
        listed: list[dict[str, Any]] = (await self.mismo.client.get("/api/tracks", sort="title", limit=1000))["data"]
        return sorted(listed, key=lambda track: str(track["relative_path"]))

    async def track(self, seed: object = "one") -> dict[str, Any]:
        return next(item for item in await self.tracks(seed) if item["relative_path"] == f"{seed}.mp3")

    async def get(self, track_id: str) -> dict[str, Any]:
        found: dict[str, Any] = (await self.mismo.client.get(f"/api/tracks/{track_id}"))["data"]
        return found

    async def request(self, **body: Any) -> dict[str, Any]:
        """Ask for analysis; answers the first job."""
        answer = (await self.mismo.client.post("/api/analysis/request", body, status=202))["data"]
        job: dict[str, Any] = answer["jobs"][0]
        return job

    async def outcome(self, job_id: str) -> dict[str, Any]:
        """The job, once it has ended."""
        await self.mismo.app.analysis.service.outcome(job_id)
        found: dict[str, Any] = (await self.mismo.client.get(f"/api/analysis/status/{job_id}"))["data"]
        return found


Opened = Callable[..., AbstractAsyncContextManager[Studio]]


@pytest.fixture
def studio(database_url: str, music: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Opened:
    """Opens a Mismo with a stand-in server that does `work`; keywords go to the configuration, `pace` to the queue."""

    # With PostgreSQL the stems lie in the working directory's `data`.
    monkeypatch.chdir(tmp_path)

    @asynccontextmanager
    async def open_studio(
        work: Work = good, pace: dict[str, Any] | None = None, **config: Any
    ) -> AsyncIterator[Studio]:
        async with analysis_server(work) as server:
            settings = make_config(database_url=database_url, analysis_server_url=server.url, **config)
            async with running(settings, analysis_pace=replace(QUICK, **(pace or {}))) as mismo:
                directory = await mismo.added(music)
                yield Studio(mismo, server, music, directory["id"])

    return open_studio
