"""The life of a real server: started, stopped, killed, and talked to as a client does."""

# ruff: noqa: ASYNC110 # a client that isn't told when the watcher has come to rest asks again

from __future__ import annotations

import asyncio
import ctypes
import os
import random
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE
from pathlib import Path
from typing import Any

import aiohttp
import orjson

from tests.cli.program import Program
from tests.support.websocket import Socket

PATIENCE_SECONDS = 120
_PR_CAPBSET_DROP = 24  # prctl(2)
_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH = 1, 2  # capabilities(7)
_ASK_SECONDS = 0.1


class Life:
    """Half of its lives the server follows the disk by itself."""

    def __init__(self, database_url: str, folder: Path, session: aiohttp.ClientSession, chance: random.Random):
        self._program = Program(database_url, folder)
        # PostgreSQL's socket may lie where only its own user comes.
        self._before_start = _obey_permissions if database_url.startswith("sqlite") else None
        self._session = session
        self._chance = chance
        self._process: asyncio.subprocess.Process | None = None
        self._folder = folder
        self._lives = 0
        self._url = ""

    @property
    def is_up(self) -> bool:
        return self._process is not None

    async def start(self) -> None:
        self._lives += 1
        with self._errors.open("wb") as errors:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "server", "serve", "--port", "0", cwd="/", stdin=DEVNULL, stdout=PIPE,
                stderr=errors, env=self._program.environment(LOG_LEVEL="warning"), preexec_fn=self._before_start,
            )  # fmt: skip
        assert self._process.stdout is not None
        async with asyncio.timeout(PATIENCE_SECONDS):
            line = (await self._process.stdout.readline()).decode()
        assert line.startswith("Mismo is ready at "), f"{line}{self._said()}"
        self._url = line.split()[-1]
        if self._chance.random() < 0.5:
            await self.call("POST", "/api/watcher/stop")

    async def stop(self) -> None:
        await self._end(signal.SIGTERM, 0)

    async def kill(self) -> None:
        await self._end(signal.SIGKILL, -signal.SIGKILL)

    async def end(self) -> None:
        """However it stands."""
        if self._process is not None:
            await self._end(signal.SIGKILL, -signal.SIGKILL)

    async def _end(self, number: signal.Signals, code: int) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(number)
        async with asyncio.timeout(PATIENCE_SECONDS):
            await process.communicate()
        assert process.returncode == code, f"ended with {process.returncode}: {self._said()}"
        if number is not signal.SIGKILL:
            assert "Traceback" not in self._said(), self._said()

    @property
    def _errors(self) -> Path:
        """What this life has to say; processes that a killed one leaves behind may go on with theirs."""
        return self._folder / f"errors {self._lives}.txt"

    def _said(self) -> str:
        return self._errors.read_text()[-5000:]

    async def call(self, method: str, path: str, body: Any = None, *, refused: int = 0) -> Any:
        """The data of an answer; None when it was refused with that status."""
        async with self._session.request(method, self._url + path, json=body) as answer:
            content = orjson.loads(await answer.read())
            if answer.status == refused:
                return None
            assert answer.status < 400, f"{method} {path}: {content}"
            return content["data"]

    async def scan(self, directory: str) -> dict[str, Any]:
        """Scan a directory, after whatever else scans it."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                scan = await self.call("POST", f"/api/scan/library/{directory}", {}, refused=409)
                if scan is not None:
                    break
                await self.call("POST", f"/api/library/directories/{directory}/check-availability")
                await asyncio.sleep(_ASK_SECONDS)
            while True:
                current: dict[str, Any] = await self.call("GET", f"/api/scan/{scan['id']}")
                if current["state"] not in ("queued", "running", "paused"):
                    return current
                await asyncio.sleep(_ASK_SECONDS)

    async def is_pending(self) -> bool:
        """Whether the watcher waits for files to come to rest."""
        status = await self.call("GET", "/api/watcher/status")
        return any(directory["pending"] for directory in status["directories"])

    async def quiet(self) -> None:
        """Until no scan is at work and no file waits to come to rest."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while await self.is_pending() or await self.call("GET", "/api/scan/active"):
                await asyncio.sleep(_ASK_SECONDS)

    async def events(self, since: int) -> list[dict[str, Any]]:
        """All recorded events of tracks after a number."""
        async with self._session.ws_connect(f"{self._url}/ws", max_msg_size=0) as raw:
            socket = Socket(raw)
            await socket.receive()
            last = (await socket.subscribe("track:*", since=since))["seq"]
            # A further subscription takes the former ones along up to where it begins; the pong comes after all that.
            await socket.subscribe("companion:state", since=last)
            await socket.send(type="ping")
            await socket.reply("pong")
            return socket.events


def _obey_permissions() -> None:
    """Root reads everything, but not without the capabilities for that."""
    if os.geteuid() == 0:
        prctl = ctypes.CDLL(None).prctl
        prctl(_PR_CAPBSET_DROP, _CAP_DAC_OVERRIDE)
        prctl(_PR_CAPBSET_DROP, _CAP_DAC_READ_SEARCH)
