"""Real processes under the supervisor."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from server.clock import SystemClock
from server.companions.health import HttpHealth, NotReady, WebsocketHealth
from server.companions.model import Definition, State
from server.companions.pace import Pace
from server.companions.supervisor import Supervised
from server.cores import Cores
from tests.support.application import Running
from tests.support.process import ended
from tests.support.websocket import Socket

PROGRAM = Path(__file__).with_name("program.py")
QUICK = Pace(first_pause=0.01, longest_pause=0.02, grace=0.3, health_interval=0.02)


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
        return port


@dataclass(frozen=True, slots=True)
class Watched:
    companion: Supervised
    socket: Socket

    async def becomes(self, *states: State) -> list[dict[str, object]]:
        """The announcements, once they end with these states."""
        while True:
            told = [event["data"] for event in self.socket.events]
            if [item["state"] for item in told][-len(states) :] == list(states):
                return told
            await self.socket.receive()


@asynccontextmanager
async def watched(
    mismo: Running, *options: str, command: list[str] | None = None, port: int | None = None
) -> AsyncIterator[Watched]:
    port = port or free_port()
    url = f"http://127.0.0.1:{port}"
    definition = Definition(
        "analysis", url, command or [sys.executable, str(PROGRAM), str(port), *options], HttpHealth(f"{url}/health")
    )
    companion = Supervised(definition, mismo.app.uow, SystemClock(), Cores(), QUICK)
    async with mismo.socket("companion:state") as listening, asyncio.TaskGroup() as group:
        task = group.create_task(companion.run())
        try:
            yield Watched(companion, listening)
        finally:
            task.cancel()


async def test_companion_is_running_once_it_is_healthy(mismo: Running) -> None:
    async with watched(mismo) as it:
        told = await it.becomes(State.STARTING, State.RUNNING)
        assert told[-1] == {"name": "analysis", "state": "running", "restarts": 0, "detail": None}
        pid = it.companion.status.pid
        assert pid is not None
    assert ended(pid)


async def test_crash_is_restarted_five_times_and_then_stays_down(mismo: Running) -> None:
    async with watched(mismo, "--crash") as it:
        told = await it.becomes(State.FAILED)
        assert [item["state"] for item in told].count("starting") == 6
        assert told[-1]["restarts"] == 5
        assert "out of luck" in str(told[-1]["detail"])
        assert "stays down" in str(told[-1]["detail"])
        it.companion.start()
        told = await it.becomes(State.STARTING, State.WAITING)
        assert told[-1]["restarts"] == 6


async def test_killed_companion_comes_back(mismo: Running) -> None:
    async with watched(mismo) as it:
        await it.becomes(State.RUNNING)
        first = it.companion.status.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        told = await it.becomes(State.WAITING, State.STARTING, State.RUNNING)
        assert told[-1]["restarts"] == 1
        assert it.companion.status.pid != first


async def test_stopped_companion_stays_down_until_it_is_started(mismo: Running) -> None:
    async with watched(mismo) as it:
        await it.becomes(State.RUNNING)
        it.companion.stop()
        await it.becomes(State.STOPPING, State.STOPPED)
        assert it.companion.status.pid is None
        it.companion.start()
        told = await it.becomes(State.STARTING, State.RUNNING)
        assert told[-1]["restarts"] == 0


async def test_restart_makes_a_new_process(mismo: Running) -> None:
    async with watched(mismo) as it:
        await it.becomes(State.RUNNING)
        first = it.companion.status.pid
        it.companion.restart()
        await it.becomes(State.STOPPING, State.STARTING, State.RUNNING)
        assert it.companion.status.pid not in (None, first)


async def test_companion_that_ignores_sigterm_is_killed(mismo: Running, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    async with watched(mismo, "--stubborn", "--child", str(pids)) as it:
        await it.becomes(State.RUNNING)
        it.companion.stop()
        await it.becomes(State.STOPPED)
        for pid in pids.read_text().split():
            assert ended(int(pid))


async def test_children_of_a_crashed_companion_are_ended_too(mismo: Running, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    async with watched(mismo, "--child", str(pids)) as it:
        await it.becomes(State.RUNNING)
        program, child = (int(pid) for pid in pids.read_text().split())
        os.kill(program, signal.SIGKILL)
        await it.becomes(State.WAITING, State.STARTING, State.RUNNING)
        assert ended(child)


async def test_command_that_does_not_exist_is_said_so(mismo: Running) -> None:
    async with watched(mismo, command=["/nowhere/analyser"]) as it:
        told = await it.becomes(State.FAILED)
    assert "can't start /nowhere/analyser" in str(told[-1]["detail"])


async def test_server_somebody_else_started_is_used_until_it_ends(mismo: Running) -> None:
    port = free_port()
    with started([str(PROGRAM), str(port)]) as other:
        async with watched(mismo, port=port) as it:
            told = await it.becomes(State.RUNNING)
            assert "somebody else" in str(told[-1]["detail"])
            assert it.companion.status.pid is None
            other.kill()
            other.wait()
            await it.becomes(State.STARTING, State.RUNNING)
            assert it.companion.status.pid is not None


@contextmanager
def started(arguments: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    """A Python program, once it has said that it listens."""
    with subprocess.Popen([sys.executable, *arguments], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"listening\n"
            yield process
        finally:
            process.kill()


async def test_websocket_health_is_a_connection_that_is_taken() -> None:
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        await WebsocketHealth(f"ws://127.0.0.1:{port}").check()
    try:
        await WebsocketHealth(f"ws://127.0.0.1:{port}").check()
    except NotReady as problem:
        assert str(port) in str(problem)
    else:
        raise AssertionError("nobody listens there any more")


_STARTER = """
import asyncio, sys
from server.companions.process import Process

async def main():
    process = await Process.start(sys.argv[1:], 0.3)
    await process.copy_output(lambda line: print(line, flush=True))

asyncio.run(main())
"""


def test_no_orphan_is_left_when_mismo_is_killed(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    program = [sys.executable, str(PROGRAM), str(free_port()), "--stubborn", "--child", str(pids)]
    with started(["-c", _STARTER, *program]) as starter:
        starter.kill()
        for pid in pids.read_text().split():
            assert ended(int(pid))
