"""The analysis server as a real process, and a real receiver for its callbacks."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import orjson
import pytest
from aiohttp import web

from tests.support.process import children

from . import encoding, tracks

Body = dict[str, Any]
ROOT = Path(__file__).resolve().parents[2]


class Receiver:
    """Takes callbacks at `url`. `answers` are the statuses of the first ones; afterwards all get 200."""

    def __init__(self) -> None:
        self.answers: list[int] = []
        self.url = ""
        self._came: asyncio.Queue[Body] = asyncio.Queue()

    async def next(self) -> Body:
        """The next callback, in the order in which they come; those answered with an error are here too."""
        return await asyncio.wait_for(self._came.get(), 120)

    async def until_job_ends(self) -> list[Body]:
        """All callbacks up to and including job_completed or job_failed."""
        bodies = [await self.next()]
        while not bodies[-1]["stage"].startswith("job_"):
            bodies.append(await self.next())
        return bodies

    @property
    def is_empty(self) -> bool:
        return self._came.empty()

    async def handle(self, request: web.Request) -> web.Response:
        self._came.put_nowait(orjson.loads(await request.read()))
        return web.Response(status=self.answers.pop(0) if self.answers else 200)


@dataclass
class Analyzer:
    """A running server; every request goes to it over HTTP."""

    process: asyncio.subprocess.Process
    url: str
    http: aiohttp.ClientSession
    receiver: Receiver
    log: list[Body] = field(default_factory=list)

    async def call(self, method: str, path: str, **request: Any) -> tuple[int, Body]:
        async with self.http.request(method, self.url + path, **request) as answer:
            return answer.status, orjson.loads(await answer.read())

    def order(self, path: Path | str, track_hash: str = "hash-1", **changes: Any) -> Body:
        return {
            "file_path": str(path),
            "track_hash": track_hash,
            "options": {"basic_features": True},
            "callback_url": self.receiver.url,
            "stem_delivery_mode": "path",
        } | changes

    async def submit(self, path: Path | str, track_hash: str = "hash-1", **changes: Any) -> str:
        status, body = await self.call("POST", "/jobs", json=self.order(path, track_hash, **changes))
        assert status == 200, body
        return str(body["job_id"])

    async def logged(self, event: str) -> Body:
        """Reads the log on until an event."""
        assert self.process.stderr is not None
        while line := await asyncio.wait_for(self.process.stderr.readline(), 60):
            self.log.append(orjson.loads(line))
            if self.log[-1]["event"] == event:
                return self.log[-1]
        raise AssertionError(f"the log ended without {event!r}: {self.log}")

    def workers(self) -> list[int]:
        """Process ids of the workers at work (Linux)."""
        return children(self.process.pid)


Start = Callable[..., Awaitable[Analyzer]]


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    application = web.Application(client_max_size=1 << 28)
    application.router.add_post("/callback", receiver.handle)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}/callback"
    yield receiver
    await runner.cleanup()


@pytest.fixture
async def start(receiver: Receiver) -> AsyncIterator[Start]:
    """Starts servers with further arguments; they are stopped at the end of the test."""
    async with AsyncExitStack() as stack:

        async def start(*arguments: str) -> Analyzer:
            return await stack.enter_async_context(_running(arguments, receiver))

        yield start


@pytest.fixture
async def analyzer(start: Start) -> Analyzer:
    return await start()


@asynccontextmanager
async def _running(arguments: Sequence[str], receiver: Receiver) -> AsyncIterator[Analyzer]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "server.analyzer", "--port", "0", *arguments),
        cwd=ROOT,
        stderr=asyncio.subprocess.PIPE,
        env=os.environ | {"PYTHONWARNINGS": "error"},
    )
    async with aiohttp.ClientSession() as http:
        analyzer = Analyzer(process, "", http, receiver)
        try:
            listening = await analyzer.logged("listening")
            analyzer.url = f"http://127.0.0.1:{listening['port']}"
            yield analyzer
        finally:
            if process.returncode is None:
                process.send_signal(signal.SIGTERM)
            await asyncio.wait_for(process.communicate(), 30)


@pytest.fixture(scope="session")
def song(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A track of 12 s at 120 BPM in A minor."""
    wanted = tracks.Description(120, tonic=9, mode="minor", progression="i-iv-v-i", seconds=12.5)
    track = tracks.render(wanted)
    return encoding.write(tmp_path_factory.mktemp("song") / "song.flac", track.audio, track.rate)


@pytest.fixture(scope="session")
def long_song(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten minutes, so that an analysis of it can be caught in the act."""
    track = tracks.render(tracks.Description(120, chord_style="none", bass_style="none", seconds=10))
    audio = np.tile(track.audio[:, : 10 * track.rate], (1, 60))
    return encoding.write(tmp_path_factory.mktemp("song") / "long.wav", audio, track.rate)
