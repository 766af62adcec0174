"""Where the system has no more inotify watches, directories are polled, nothing is lost, and it is said."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest

from tests.cli.program import Program
from tests.conftest import IS_POSTGRES
from tests.support import sound
from tests.support.websocket import Socket

pytestmark = pytest.mark.skipif(IS_POSTGRES, reason="not for PostgreSQL: another user namespace can't connect to it")
_LIMIT = 30
# A user namespace has limits of its own (user_namespaces(7)).
_FEW_WATCHES = (
    "unshare", "--user", "--map-root-user",
    "sh", "-c", f'echo {_LIMIT} >/proc/sys/user/max_inotify_watches && exec "$@"', "sh",
)  # fmt: skip


@pytest.fixture
def program(database_url: str, tmp_path: Path) -> Program:
    if subprocess.run([*_FEW_WATCHES, "true"], capture_output=True, check=False).returncode:
        pytest.skip("not for systems without user namespaces")
    return Program(database_url, tmp_path, _FEW_WATCHES)


@dataclass
class Followed:
    session: aiohttp.ClientSession
    socket: Socket

    async def directory(self) -> dict[str, Any]:
        async with self.session.get("/api/library/directories") as answer:
            found: dict[str, Any] = (await answer.json())["data"][0]
            return found

    async def state(self, state: str) -> None:
        await self.socket.until(
            lambda event: (
                event["event"] == "library:directory:updated" and event["data"]["directory"]["watch_state"] == state
            )
        )

    async def arrived(self, count: int) -> list[str]:
        """The ids that came, once there are so many."""
        while True:
            added = [event for event in self.socket.events if event["event"] == "track:added"]
            ids = [track_id for event in added for track_id in event["data"]["ids"]]
            if len(ids) >= count:
                return ids
            await self.socket.receive()


@asynccontextmanager
async def following(program: Program, music: Path) -> AsyncIterator[Followed]:
    async with (
        program.serving("--library", str(music)) as server,
        aiohttp.ClientSession(server.url) as session,
        session.ws_connect("/ws?topics=library:directory:*,track:*&since=0", max_msg_size=0) as raw,
    ):
        yield Followed(session, Socket(raw))


async def test_more_folders_than_watches_are_polled(program: Program, music: Path) -> None:
    for number in range(_LIMIT + 10):
        sound.mp3(music / f"{number}" / "old.mp3", number, frames=2)
    async with following(program, music) as followed:
        await followed.state("polling")
        assert "limit" in (await followed.directory())["watch_detail"].lower()
        await followed.arrived(_LIMIT + 10)
        sound.mp3(music / f"{_LIMIT + 9}" / "new.mp3", "new")
        sound.mp3(music / "another" / "deep" / "new.mp3", "newer")
        assert len(set(await followed.arrived(_LIMIT + 12))) == _LIMIT + 12
        doctor = await Program(program.database_url, program.folder).run("doctor")
    lines = [orjson.loads(line) for line in doctor.out.splitlines()]
    (watching,) = [line for line in lines if line["name"] == "watching"]
    assert watching["state"] == "note"
    assert f"{music}: polling (" in watching["detail"]
    (inotify,) = [line for line in lines if line["name"] == "inotify"]
    assert "instances" in inotify["detail"]


async def test_folders_that_exceed_the_watches_while_it_runs_are_polled(program: Program, music: Path) -> None:
    sound.mp3(music / "first.mp3", "first")
    async with following(program, music) as followed:
        await followed.state("watching")
        await followed.arrived(1)
        for number in range(_LIMIT + 10):
            sound.mp3(music / "new" / f"{number}" / "deep" / "new.mp3", number, frames=2)
        await followed.state("polling")
        # In folders that nobody watches, after they were looked at for the first time.
        for number in range(_LIMIT + 10):
            sound.mp3(music / "new" / f"{number}" / "deep" / "later.mp3", f"later {number}", frames=2)
        assert len(set(await followed.arrived(1 + 2 * (_LIMIT + 10)))) == 1 + 2 * (_LIMIT + 10)
        assert "max_user_watches" in (await followed.directory())["watch_detail"]
