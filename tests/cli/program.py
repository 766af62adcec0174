"""The real program, as a person or a script runs it."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from server import config as configuration

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Result:
    code: int
    out: str
    err: str


@dataclass(frozen=True, slots=True)
class Program:
    """Runs `mismo` with one database and nothing else configured."""

    database_url: str
    folder: Path
    within: tuple[str, ...] = ()  # what starts the command
    command: tuple[str, ...] = (sys.executable, "-m", "server")

    def environment(self, **settings: str) -> dict[str, str]:
        plain = {key: value for key, value in os.environ.items() if key not in configuration.variable_names()}
        quiet = {"ANALYSIS_SERVER_COMMAND": "", "AUDIO_SERVER_WS_URL": "", "AUTO_ANALYZE_NEW_TRACKS": "false"}
        return {**plain, **quiet, "PYTHONPATH": str(ROOT), "DATABASE_URL": self.database_url, **settings}

    async def start(
        self, *arguments: str, settings: Mapping[str, str] | None = None, out: int = PIPE
    ) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *self.within, *self.command, *arguments, cwd=self.folder,
            env=self.environment(**(settings or {})), stdin=DEVNULL, stdout=out, stderr=PIPE,
        )  # fmt: skip

    async def run(self, *arguments: str, **settings: str) -> Result:
        """Run a command to its end."""
        process = await self.start(*arguments, settings=settings)
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                out, err = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        assert process.returncode is not None
        return Result(process.returncode, out.decode(), err.decode())

    @asynccontextmanager
    async def serving(self, *arguments: str, **settings: str) -> AsyncIterator[Server]:
        """A server on a free port; stopped with SIGTERM in the end, unless it was stopped already."""
        process = await self.start("serve", "--port", "0", *arguments, settings=settings)
        assert process.stdout is not None
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                line = (await process.stdout.readline()).decode()
            if not line.startswith("Mismo is ready at "):
                _, err = await process.communicate()
                raise AssertionError(f"{line}{err.decode()}")
            server = Server(process, line.split()[-1])
            yield server
            await server.stop()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()


@dataclass(frozen=True, slots=True)
class Server:
    process: asyncio.subprocess.Process
    url: str

    async def stop(self, with_signal: signal.Signals = signal.SIGTERM) -> Result:
        """Ask it to stop, and wait until it has."""
        if self.process.returncode is None:
            self.process.send_signal(with_signal)
        async with asyncio.timeout(PATIENCE_SECONDS):
            out, err = await self.process.communicate()
        assert self.process.returncode is not None
        return Result(self.process.returncode, out.decode(), err.decode())
