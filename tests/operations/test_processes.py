"""Several servers on one database: an operation runs once, and is finished by another one when its server dies."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest

from server.db.opening import open_database
from tests.cli.program import Program
from tests.conftest import IS_POSTGRES, make_config
from tests.support import sound
from tests.support.library import audio_on_disk, temporaries
from tests.support.tmpfs import needs_mounting, tmpfs

pytestmark = pytest.mark.skipif(not IS_POSTGRES, reason="not for SQLite: one process owns its file")
PATIENCE_SECONDS = 60.0


@pytest.fixture
def program(database_url: str, tmp_path: Path) -> Program:
    return Program(database_url, tmp_path)


class Api:
    """A client of one of the servers."""

    def __init__(self, session: aiohttp.ClientSession, url: str):
        self._session = session
        self.url = url

    async def ask(self, method: str, path: str, body: Any = None, status: int = 200) -> Any:
        async with self._session.request(method, self.url + path, json=body) as answer:
            assert answer.status == status, await answer.text()
            return (await answer.json())["data"]

    async def scanned(self, directory_id: str) -> None:
        """Scan a directory to the end, also when a watcher is scanning it just now."""
        async with self.listening("library:*") as socket:
            status = 0
            while status != 202:
                url = f"{self.url}/api/scan/library/{directory_id}"
                async with self._session.post(url, json={}) as answer:
                    status = answer.status
                    assert status in (202, 409), await answer.text()
                await until(socket, "library:directory:scan:complete")

    @asynccontextmanager
    async def listening(self, *topics: str) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        async with self._session.ws_connect(f"{self.url}/ws?topics={','.join(topics)}") as socket:
            await socket.receive_json()
            yield socket


async def until(socket: aiohttp.ClientWebSocketResponse, *names: str, count: int = 1) -> list[Any]:
    """The events of these names, so many of them."""
    found: list[Any] = []
    async with asyncio.timeout(PATIENCE_SECONDS):
        while len(found) < count:
            message = await socket.receive_json()
            events = message.get("events", [message])
            found += [event for event in events if event.get("event") in names]
    return found


async def scanned(api: Api, folder: Path) -> str:
    """Add a directory and scan it; its id."""
    directory = await api.ask("POST", "/api/library/directories", {"path": str(folder)}, 201)
    await api.scanned(directory["id"])
    return str(directory["id"])


async def tracks_of(api: Api, directory_id: str) -> dict[str, str]:
    listed = await api.ask("GET", f"/api/tracks?limit=1000&library_id={directory_id}")
    return {track["relative_path"]: track["id"] for track in listed}


async def events_of(database_url: str) -> Counter[tuple[str, str]]:
    """How often each thing was announced of each operation and track."""
    database = open_database(make_config(database_url=database_url))
    await database.open()
    try:
        rows = await database.fetch_all("SELECT name, data FROM events ORDER BY seq")
    finally:
        await database.close()
    found: Counter[tuple[str, str]] = Counter()
    for row in rows:
        data = orjson.loads(row["data"])
        if "operation" in data:
            found[row["name"], data["operation"]["id"]] += 1
        for track_id in data.get("ids", ()):
            found[row["name"], track_id] += 1
    return found


async def test_each_operation_of_two_servers_runs_once(program: Program, database_url: str, music: Path) -> None:
    for number in range(40):
        sound.mp3(music / f"{number}.mp3", number, frames=4)
    before = audio_on_disk(music)
    async with (
        aiohttp.ClientSession() as session,
        program.serving() as first,
        program.serving() as second,
    ):
        apis = [Api(session, first.url), Api(session, second.url)]
        directory_id = await scanned(apis[0], music)
        ids = await tracks_of(apis[1], directory_id)
        assert len(ids) == 40

        async def move(number: int, path: str) -> str:
            body = {"library_directory_id": directory_id, "destination_path": path}
            answer = await apis[number % 2].ask("POST", f"/api/tracks/{ids[f'{number}.mp3']}/move", body, 202)
            return str(answer["id"])

        async with apis[1].listening("file_operation:*") as socket:
            queued = await asyncio.gather(*(move(number, f"new/{number}.mp3") for number in range(40)))
            # Two servers, one target: whichever comes first has it.
            rivals = await asyncio.gather(*(move(number, "new/rivals.mp3") for number in (0, 1)))
            ended = await until(socket, "file_operation:complete", "file_operation:failed", count=42)
        await apis[1].scanned(directory_id)
    states = {event["data"]["operation"]["id"]: event["data"]["operation"]["state"] for event in ended}
    assert {states[item] for item in queued} == {"done"}
    assert sorted(states[item] for item in rivals) == ["done", "failed"]
    assert audio_on_disk(music) == before
    found = await events_of(database_url)
    assert {found["file_operation:started", item] for item in queued} == {1}
    assert {found["track:moved", ids[f"{number}.mp3"]] for number in range(2, 40)} == {1}
    assert sum(found["track:moved", ids[f"{number}.mp3"]] for number in (0, 1)) == 3
    assert sum(count for (name, _), count in found.items() if name in ("track:missing", "track:removed")) == 0


async def test_operation_of_a_killed_server_is_finished_by_the_other_one(
    program: Program, database_url: str, music: Path, tmp_path: Path
) -> None:
    needs_mounting()
    sound.mp3(music / "small.mp3", "small", frames=4)
    sound.mp3(music / "big.mp3", "big", frames=4)
    with (music / "big.mp3").open("ab") as file:
        file.write(os.urandom(1024) * 60_000)
    before = audio_on_disk(music)
    with tmpfs(tmp_path / "other", "200m") as other:
        async with aiohttp.ClientSession() as session, program.serving() as first:
            one = Api(session, first.url)
            target_id = await scanned(one, other)
            ids = await tracks_of(one, await scanned(one, music))
            await renamed(one, ids["small.mp3"])  # it is the first one that works on the journal
            async with program.serving() as second:
                two = Api(session, second.url)
                async with two.listening("file_operation:*") as socket:
                    body = {"library_directory_id": target_id, "destination_path": "a/big.mp3"}
                    queued = await two.ask("POST", f"/api/tracks/{ids['big.mp3']}/move", body, 202)
                    await until(socket, "file_operation:started")
                    first.process.send_signal(signal.SIGKILL)
                    (ended,) = await until(socket, "file_operation:complete", "file_operation:failed")
                operation = ended["data"]["operation"]
                assert (operation["id"], operation["state"]) == (queued["id"], "done")
                track = await two.ask("GET", f"/api/tracks/{ids['big.mp3']}")
                assert (track["relative_path"], track["is_missing"]) == ("a/big.mp3", False)
        assert audio_on_disk(music, other) == before
        assert temporaries(music, other) == []
    found = await events_of(database_url)
    assert found["track:moved", ids["big.mp3"]] == 1


async def renamed(api: Api, track_id: str) -> None:
    async with api.listening("file_operation:*") as socket:
        await api.ask("POST", f"/api/tracks/{track_id}/rename", {"new_name": "renamed"}, 202)
        await until(socket, "file_operation:complete")
