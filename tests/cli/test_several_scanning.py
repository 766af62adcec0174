"""Scans where several servers share a library: one process works on them, every process can be asked about them."""

from __future__ import annotations

import asyncio
from collections import Counter
from functools import partial
from pathlib import Path

import pytest

from tests.cli.program import Program
from tests.cli.several import another, is_end_of
from tests.conftest import IS_POSTGRES
from tests.support import sound

pytestmark = pytest.mark.skipif(not IS_POSTGRES, reason="not for SQLite: one file has one server")
SCANS = "library:directory:scan:*"
MANY = 1000


def fill(folder: Path, count: int) -> None:
    for number in range(count):
        sound.mp3(folder / f"{number:04}.mp3", number, frames=1)


async def test_a_scan_is_left_alone_by_servers_that_start_and_obeys_each_of_them(program: Program, music: Path) -> None:
    fill(music, MANY)
    async with another(program) as first, another(program) as second:
        directory = await first.added(music, watch=False)
        url = f"/api/scan/library/{directory['id']}"
        async with second.socket(SCANS) as socket:
            scan = (await first.client.post(url, {}, status=202))["data"]
            await socket.named("library:directory:scan:started")
            assert (await second.client.post(f"{url}/pause"))["data"]["state"] == "paused"
            async with another(program) as third:
                assert (await third.data(f"{url}/status"))["state"] == "paused"
                assert (await third.client.request("POST", url, {})).json["code"] == "scan_active"
                assert (await third.client.request("POST", f"{url}/pause")).status == 409
                assert (await third.client.post(f"{url}/resume"))["data"]["state"] == "running"
                assert (await second.client.post(f"{url}/pause"))["data"]["state"] == "paused"
                ended = (await third.client.delete(url))["data"]
            assert (ended["id"], ended["state"]) == (scan["id"], "cancelled")
            await socket.named("library:directory:scan:cancelled")
            # What was written is kept, and what was written is all that is told of.
            kept = (await second.client.get("/api/tracks", limit=1))["pagination"]["total"]
            assert kept == ended["counts"]["added"] < MANY
            again = await second.scanned(directory)
        assert (again["counts"]["unchanged"], again["counts"]["added"]) == (kept, MANY - kept)


async def test_a_scan_whose_server_is_killed_ends_and_another_server_goes_on(program: Program, music: Path) -> None:
    fill(music, MANY)
    async with another(program) as first, another(program) as second, another(program) as third:
        directory = await first.added(music, watch=False)
        url = f"/api/scan/library/{directory['id']}"
        async with third.socket(SCANS) as socket:
            scan = (await second.client.post(url, {}, status=202))["data"]
            await socket.named("library:directory:scan:started")
            await second.client.post(f"{url}/pause")
            await first.kill()
            ended = await socket.until(partial(is_end_of, scan["id"]))
        assert ended["event"] == "library:directory:scan:failed"
        assert ended["data"]["scan"]["error"] == "interrupted: the server stopped"
        again = await third.scanned(directory)
        assert again["state"] == "complete"
        assert again["counts"]["unchanged"] + again["counts"]["added"] == MANY
        assert (await third.client.get("/api/tracks", limit=1))["pagination"]["total"] == MANY


async def test_of_scans_of_one_directory_that_are_asked_for_at_once_one_is_made(program: Program, music: Path) -> None:
    fill(music, 3)
    async with another(program) as first, another(program) as second:
        directory = await first.added(music, watch=False)
        for _ in range(5):
            async with first.socket(SCANS) as socket:
                answers = await asyncio.gather(
                    *(
                        one.client.request("POST", f"/api/scan/library/{directory['id']}", {})
                        for one in (first, second) * 3
                    )
                )
                made = [answer.json["data"]["id"] for answer in answers if answer.status == 202]
                assert made
                assert {answer.json["code"] for answer in answers if answer.status != 202} <= {"scan_active"}
                for scan_id in made:
                    ended = await socket.until(partial(is_end_of, scan_id))
                    assert ended["data"]["scan"]["state"] == "complete"
            states = Counter(event["event"] for event in socket.events if "seq" in event)
            assert states["library:directory:scan:started"] == states["library:directory:scan:complete"] == len(made)


async def test_progress_reaches_the_clients_of_every_server(program: Program, music: Path) -> None:
    fill(music, MANY)
    async with another(program) as first, another(program) as second:
        directory = await first.added(music, watch=False)
        async with second.socket(SCANS) as socket:
            scan = (await second.client.post(f"/api/scan/library/{directory['id']}", {}, status=202))["data"]
            progress = await socket.named("library:directory:scan:progress")
            assert progress["data"]["scan_id"] == scan["id"]
            await socket.until(partial(is_end_of, scan["id"]))


async def test_a_directory_is_followed_by_one_server_until_that_one_is_gone(program: Program, music: Path) -> None:
    async with another(program) as first, another(program) as second:
        async with second.socket("library:directory:updated") as socket:
            await first.added(music)
            await socket.until(lambda event: event["data"]["directory"]["watch_state"] == "watching")
        for one in (first, second):
            status = await one.data("/api/watcher/status")
            assert [item["watch_state"] for item in status["directories"]] == ["watching"]
        async with second.socket("track:*", SCANS) as socket:
            sound.mp3(music / "one.mp3", 1)
            await socket.named("track:added")
            scan = await socket.named("library:directory:scan:complete")
            assert scan["data"]["scan"]["counts"]["added"] == 1
        await first.kill()
        async with second.socket("track:added") as socket:
            sound.mp3(music / "two.mp3", 2)
            added = await socket.named("track:added")
        assert [track["file_name"] for track in added["data"]["tracks"]] == ["two.mp3"]
        assert (await second.client.get("/api/tracks"))["pagination"]["total"] == 2


async def test_the_watcher_is_switched_through_any_server(program: Program, music: Path) -> None:
    async with another(program) as first, another(program) as second:
        async with second.socket("library:directory:updated") as socket:
            await first.added(music)
            await socket.until(lambda event: event["data"]["directory"]["watch_state"] == "watching")
            assert (await second.client.post("/api/watcher/stop"))["data"]["is_running"] is False
            off = await socket.until(lambda event: event["data"]["directory"]["watch_state"] == "off")
            for one in (first, second):
                assert await one.data("/api/watcher/status") == {"is_running": False, "directories": []}
            assert (await second.client.post("/api/watcher/start"))["data"]["is_running"] is True
            await socket.until(
                lambda event: event["seq"] > off["seq"] and event["data"]["directory"]["watch_state"] == "watching"
            )
        assert (await first.data("/api/watcher/status"))["is_running"] is True
