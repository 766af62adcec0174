"""A stand-in for an analysis server: the protocol over real sockets, with every fault that one may have."""

from __future__ import annotations

import asyncio
import base64
import io
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import orjson
from aiohttp import web

PIXELS = (1000, 4000, 16000)


def basic_features(tempo: float = 128.0, key: int = 9, mode: int = 0) -> dict[str, Any]:
    """A result as it should be: A minor at 128 BPM, its waveforms as base64."""
    period = 60 / tempo
    return {
        "key": key, "key_name": "A", "mode": mode, "mode_name": "minor", "key_strength": 0.8, "tempo": tempo,
        "beats": [round(0.5 + period * n, 4) for n in range(64)],
        "downbeats": [round(0.5 + period * n, 4) for n in range(0, 64, 4)],
        "beat_consistency": 0.98, "num_beats": 64, "num_downbeats": 16,
        "firstBeatOffset": 0.5, "firstPhraseBeatNo": 1, "audibleStartTime": 0.1, "audibleEndTime": 31.0,
        "waveforms": [waveform(zoom) for zoom in range(3)],
    }  # fmt: skip


def waveform(zoom: int) -> dict[str, Any]:
    """A ramp in each plane, which differ by their first byte."""
    pixels = PIXELS[zoom]
    planes = {
        f"{band}_freq_{measure}": base64.b64encode(bytes((first + n) % 256 for n in range(pixels))).decode()
        for first, (band, measure) in enumerate(itertools.product(("low", "mid", "high"), ("amplitude", "intensity")))
    }
    return {
        "zoom_level": zoom,
        "num_pixels": pixels,
        "samples_per_pixel": 44.1,
        **planes,
    }


def characteristics() -> dict[str, Any]:
    return {
        "danceability": True, "valence": 5.5, "arousal": 6.5, "energy": -12.5, "loudness": -9.1, "acousticness": 0.1,
        "instrumentalness": 0.9, "spectral_centroid": 1800.0, "processing_time": 0.2,
    }  # fmt: skip


RESULTS: dict[str, Callable[[], dict[str, Any]]] = {
    "basic_features": basic_features,
    "characteristics": characteristics,
    "genre": lambda: {"status": "unsupported"},
    "segments": lambda: {"segments": [{"start": 0.0, "end": 16.0, "label": "A"}]},
    "transitions": lambda: {"status": "unsupported"},
}


@dataclass
class Ordered:
    """A job that the stand-in was given."""

    id: Any  # a text, unless a test makes it something else
    track_hash: str
    stages: list[str]
    callback_url: str
    fields: dict[str, Any]
    file: bytes | None = None
    status: Any = "processing"
    was_asked_after: asyncio.Event = field(default_factory=asyncio.Event)


Work = Callable[["AnalysisServer", Ordered], Awaitable[None]]


@dataclass
class AnalysisServer:
    """`work` is what it does with a job, to which it gives the next of `names`; `standing` is what its health check
    says; `submit_fault` answers a POST in place of accepting it, and may be None.
    """

    work: Work
    url: str = ""
    is_ill: bool = False
    submit_fault: Callable[[web.Request], Awaitable[web.StreamResponse]] | None = None
    stem: Callable[[], web.Response] | None = None
    names: Iterator[Any] = field(default_factory=lambda: (f"j{number}" for number in itertools.count()))
    standing: Any = field(default_factory=lambda: {"status": "ok", "version": "stand-in", "jobs_queued": 0})
    jobs: dict[str, Ordered] = field(default_factory=dict)
    dropped: list[str] = field(default_factory=list)
    answers: list[tuple[str, int]] = field(default_factory=list)
    active: int = 0
    most_active: int = 0
    session: aiohttp.ClientSession | None = None
    group: asyncio.TaskGroup | None = None
    _came_to_rest: asyncio.Event = field(default_factory=asyncio.Event)
    _was_dropped: asyncio.Event = field(default_factory=asyncio.Event)

    async def health(self, _: web.Request) -> web.Response:
        if self.is_ill:
            raise web.HTTPInternalServerError
        return web.json_response(self.standing)

    async def submit(self, request: web.Request) -> web.StreamResponse:
        if self.submit_fault is not None:
            return await self.submit_fault(request)
        if request.content_type == "multipart/form-data":
            form = await request.post()
            uploaded = form["file"]
            assert isinstance(uploaded, web.FileField)
            fields: dict[str, Any] = {name: value for name, value in form.items() if name != "file"}
            fields["options"] = orjson.loads(str(fields["options"]))
            content: bytes | None = uploaded.file.read()
        else:
            fields, content = await request.json(loads=orjson.loads), None
        stages = [name for name, wanted in fields["options"].items() if wanted and name != "all"]
        job = Ordered(
            next(self.names),
            fields["track_hash"],
            stages,
            fields["callback_url"],
            fields,
            content,
        )
        self.jobs[str(job.id)] = job
        assert self.group is not None
        self.group.create_task(self._work(job))
        return web.json_response({"job_id": job.id})

    async def _work(self, job: Ordered) -> None:
        self.active += 1
        self.most_active = max(self.most_active, self.active)
        try:
            await self.work(self, job)
        finally:
            self.active -= 1
            self._came_to_rest.set()

    async def at_rest(self) -> None:
        """Wait until it works on no job: a job ends at Mismo before the server has the answer to its last callback."""
        while self.active:
            self._came_to_rest.clear()
            await self._came_to_rest.wait()

    async def show(self, request: web.Request) -> web.Response:
        job = self.jobs.get(request.match_info["id"])
        if job is None:
            raise web.HTTPNotFound
        job.was_asked_after.set()
        return web.json_response({"job_id": job.id, "status": job.status})

    async def show_stem(self, _: web.Request) -> web.Response:
        if self.stem is None:
            raise web.HTTPNotFound
        return self.stem()

    async def drop(self, request: web.Request) -> web.Response:
        self.dropped.append(request.match_info["id"])
        self._was_dropped.set()
        return web.json_response({})

    async def let_go(self, *jobs: str) -> None:
        """Wait until Mismo has said that it doesn't need these jobs any more."""
        while not set(jobs) <= set(self.dropped):
            self._was_dropped.clear()
            await self._was_dropped.wait()

    # -- calling back

    async def call(
        self,
        job: Ordered,
        stage: str,
        data: dict[str, Any] | None = None,
        status: str = "completed",
    ) -> int:
        """One callback; the status of the answer, 0 for none."""
        body = {
            "job_id": job.id,
            "stage": stage,
            "status": status,
            "timestamp": "2026-01-01T00:00:00Z",
            "data": data,
        }
        return await self.call_raw(job.callback_url, orjson.dumps(body), stage)

    async def call_raw(self, url: str, body: Any, what: str = "") -> int:
        assert self.session is not None
        content = io.BytesIO(body) if isinstance(body, bytes) else body
        try:
            async with self.session.post(url, data=content, headers={"Content-Type": "application/json"}) as answer:
                status = answer.status
        except aiohttp.ClientError:
            status = 0
        self.answers.append((what, status))
        return status

    async def send(self, job: Ordered, stages: Sequence[str] | None = None) -> None:
        """The results of stages, as a good server sends them."""
        for stage in job.stages if stages is None else stages:
            await self.call(job, stage, RESULTS[stage]())


async def good(server: AnalysisServer, job: Ordered) -> None:
    """Every stage, then the end."""
    await server.send(job)
    job.status = "completed"
    await server.call(job, "job_completed")


async def silent(_: AnalysisServer, __: Ordered) -> None:
    """Takes the job, and never says anything."""


@asynccontextmanager
async def analysis_server(work: Work = good, port: int = 0) -> AsyncIterator[AnalysisServer]:
    server = AnalysisServer(work)
    app = web.Application(client_max_size=1 << 30)
    app.router.add_get("/health", server.health)
    app.router.add_post("/jobs", server.submit)
    app.router.add_get("/jobs/{id}", server.show)
    app.router.add_get("/jobs/{id}/stems", server.show_stem)
    app.router.add_delete("/jobs/{id}", server.drop)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as group:
            server.session, server.group = session, group
            try:
                yield server
            finally:
                for task in list(group._tasks):
                    task.cancel()
    finally:
        await runner.cleanup()
