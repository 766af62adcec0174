"""Companions of the real program: started with it, steered over HTTP, and gone with it, however it ends."""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from server.config import Config
from tests.cli.program import Program, Server
from tests.companions.test_supervisor import PROGRAM, free_port
from tests.support import sound
from tests.support.client import Client
from tests.support.process import ended
from tests.support.websocket import Socket, listening


@dataclass(frozen=True, slots=True)
class Studio:
    """A running program whose analysis server and engine are companions, a client for it, and what it announces."""

    server: Server
    client: Client
    socket: Socket
    log: Path

    async def become(self, name: str, state: str) -> dict[str, Any]:
        """Wait until a companion is in a state."""
        while True:
            found: dict[str, Any] = (await self.client.get(f"/api/companions/{name}"))["data"]
            if found["state"] == state:
                return found
            await self.socket.receive()

    async def holds(self, tracks: int) -> None:
        """Wait until the library has so many tracks."""
        while (await self.client.get("/api/tracks"))["pagination"]["total"] < tracks:
            await self.socket.receive()


@asynccontextmanager
async def studio(config: Config, folder: Path, options: str = "", *arguments: str) -> AsyncIterator[Studio]:
    engine, analyser = free_port(), free_port()
    python, program = shlex.quote(sys.executable), shlex.quote(str(PROGRAM))
    async with (
        Program(config.database_url, folder).serving(
            *arguments,
            AUDIO_SERVER_WS_URL=f"ws://127.0.0.1:{engine}",
            AUDIO_SERVER_COMMAND=f"{python} {program} {engine} --child {folder}/engine {options}",
            ANALYSIS_SERVER_URL=f"http://127.0.0.1:{analyser}",
            ANALYSIS_SERVER_COMMAND=f"{python} {program} {analyser} --child {folder}/analysis {options}",
            LOG_FILE=f"{folder}/mismo.log",
        ) as server,
        aiohttp.ClientSession() as session,
        listening(session, server.url, "companion:state", "track:added") as socket,
    ):
        it = Studio(server, Client(server.url, session, ()), socket, folder / "mismo.log")
        for name in ("engine", "analysis"):
            await it.become(name, "running")
        yield it


def descendants(of: int) -> list[int]:
    """The process's children and theirs, as the kernel lists them now."""
    parents: dict[int, int] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                parents[int(name)] = int(Path(f"/proc/{name}/stat").read_text().rsplit(") ", 1)[1].split()[1])
            except (FileNotFoundError, ProcessLookupError):
                continue
    found, heads = [], [of]
    while heads:
        heads = [child for child, parent in parents.items() if parent in heads]
        found += heads
    return found


async def test_no_child_is_left_when_the_program_is_killed(config: Config, music: Path, tmp_path: Path) -> None:
    for number in range(4):
        sound.mp3(music / f"{number}.mp3", number)
    async with studio(config, tmp_path, "--stubborn", "--library", str(music)) as it:
        await it.holds(4)  # so the scan has started its workers
        children = descendants(it.server.process.pid)
        # A launcher, the program and its child for each companion, and whoever reads tags.
        assert len(children) > 6
        it.server.process.send_signal(signal.SIGKILL)
        await it.server.process.wait()
        left = [pid for pid in children if not await asyncio.to_thread(ended, pid)]
        assert left == []


async def test_no_child_is_left_when_the_program_ends(config: Config, tmp_path: Path) -> None:
    async with studio(config, tmp_path) as it:
        children = descendants(it.server.process.pid)
        assert (await it.server.stop()).code == 0
        assert [pid for pid in children if not await asyncio.to_thread(ended, pid)] == []


@pytest.mark.parametrize("name", ["engine", "analysis"])
async def test_companion_is_stopped_started_and_restarted_over_http(config: Config, tmp_path: Path, name: str) -> None:
    async with studio(config, tmp_path) as it:
        first = (await it.client.get(f"/api/companions/{name}"))["data"]["pid"]
        response = await it.client.request("POST", f"/api/companions/{name}/stop")
        assert (response.status, response.headers["location"]) == (202, f"/api/companions/{name}")
        assert (await it.become(name, "stopped"))["pid"] is None
        assert await asyncio.to_thread(ended, first)
        await it.client.request("POST", f"/api/companions/{name}/start")
        second = (await it.become(name, "running"))["pid"]
        await it.client.request("POST", f"/api/companions/{name}/restart")
        assert await asyncio.to_thread(ended, second)
        third = await it.become(name, "running")
        assert third["pid"] not in (None, first, second)
        assert third["restarts"] == 0
        await it.client.post("/api/companions/nobody/start", status=404)
        await it.client.post(f"/api/companions/{name}/explode", status=404)
        assert it.log.read_text().count("listening") >= 4
