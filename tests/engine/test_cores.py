"""While the engine is connected, what works in the background leaves one core to those who answer."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from server.config import Config
from server.scanning.process import ScanProcess
from tests.engine.conftest import BRISK
from tests.support import sound
from tests.support.application import Running, running
from tests.support.engine import standing_in

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="not for systems that don't let a process choose its cores"),
    pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="not for machines with one core"),
]


def cores_of(process_id: int) -> set[frozenset[int]]:
    """Which cores the threads of a process and of all that it has started may use."""
    found: set[frozenset[int]] = set()
    for task in Path(f"/proc/{process_id}/task").iterdir():
        found.add(frozenset(os.sched_getaffinity(int(task.name))))
        for child in (task / "children").read_text().split():
            found |= cores_of(int(child))
    return found


async def in_background(mismo: Running, music: Path) -> list[int]:
    """The scanning process with its readers, and the server's own readers, all of which have just worked."""
    sound.mp3(music / "one.mp3", 1)
    await mismo.scanned((await mismo.added(music, watch=False))["id"])
    await mismo.client.post("/api/tracks", {"file_path": str(sound.mp3(music / "two.mp3", 2))}, status=201)
    (scan_process,) = (item.process_id for item in mismo.app.services if isinstance(item, ScanProcess))
    assert scan_process is not None
    assert mismo.app.workers.process_ids
    return [scan_process, *mismo.app.workers.process_ids]


async def test_background_leaves_a_core_alone_while_the_engine_is_connected(config: Config, music: Path) -> None:
    everything = os.sched_getaffinity(0)
    all_cores, all_but_one = {frozenset(everything)}, {frozenset(everything - {min(everything)})}
    async with standing_in() as reserved:
        url = reserved.url
    settings = replace(config, audio_server_ws_url=url, scan_process=True)
    async with running(settings, engine_pace=BRISK) as mismo, mismo.socket("engine:state") as socket:

        @asynccontextmanager
        async def connected() -> AsyncIterator[None]:
            async with standing_in(int(url.rsplit(":", 1)[1])):
                await socket.until(lambda event: event["data"]["state"] == "connected")
                yield
            await socket.until(lambda event: event["data"]["state"] == "disconnected")
            socket.events.clear()

        async with connected():
            processes = await in_background(mismo, music)
            started = [cores_of(process_id) for process_id in processes]
            own = cores_of(os.getpid())
        left = [cores_of(process_id) for process_id in processes]
        async with connected():
            confined = [cores_of(process_id) for process_id in processes]
    assert started == confined == [all_but_one] * len(processes)
    assert left == [all_cores] * len(processes)
    assert own >= all_cores, "the server itself may use them all"
