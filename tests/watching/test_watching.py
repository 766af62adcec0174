"""What happens on disk is in the library soon after, once, and only when it is whole."""

# a test may block its own loop

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from server.config import Config
from tests.conftest import IS_POSTGRES
from tests.support import sound
from tests.support.application import Running, running
from tests.support.gate import Gate


@pytest.fixture
async def watching(config: Config) -> AsyncIterator[Running]:
    """A running server that follows its directories."""
    async with running(config, is_watching=True) as server:
        yield server


async def followed(server: Running, music: Path, **values: Any) -> dict[str, Any]:
    """Add and scan a directory, and wait until it is followed."""
    async with server.socket("library:directory:updated") as socket:
        directory = await server.added(music, **values)
        await socket.until(lambda event: event["data"]["directory"]["watch_state"] != "off")
    await server.scanned(directory["id"])
    return directory


async def tracks(server: Running, **params: Any) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = (await server.client.get("/api/tracks", sort="file_name", limit=1000, **params))[
        "data"
    ]
    return listed


async def test_new_changed_and_deleted_files_are_noticed(watching: Running, music: Path) -> None:
    (music / "album").mkdir()
    await followed(watching, music)
    async with watching.socket("track:*") as socket:
        file = sound.mp3(music / "album" / "one.mp3", 1, TIT2="One")
        added = await socket.named("track:added")
        sound.retag(file, TIT2="Two")
        updated = await socket.named("track:updated")
        file.unlink()
        missing = await socket.named("track:missing")
    (track,) = added["data"]["tracks"]
    assert track["title"] == "One"
    assert [updated["data"]["tracks"][0][name] for name in ("id", "title")] == [track["id"], "Two"]
    assert missing["data"]["ids"] == [track["id"]]
    assert [event["event"] for event in socket.events] == ["track:added", "track:updated", "track:missing"]


async def test_moved_file_is_one_move(watching: Running, music: Path) -> None:
    file = sound.mp3(music / "a" / "one.mp3", 1)
    (music / "b").mkdir()
    await followed(watching, music)
    async with watching.socket("track:*") as socket:
        file.rename(music / "b" / "zwei.mp3")
        moved = await socket.named("track:moved")
        sound.mp3(music / "later.mp3", 2)
        await socket.named("track:added")
    assert [(move["from"], move["to"]) for move in moved["data"]["moves"]] == [("a/one.mp3", "b/zwei.mp3")]
    assert [event["event"] for event in socket.events] == ["track:moved", "track:added"]


async def test_renamed_folder_moves_its_tracks(watching: Running, music: Path) -> None:
    for number in range(5):
        sound.mp3(music / "old" / "deep" / f"{number}.mp3", number)
    await followed(watching, music)
    before = {track["id"] for track in await tracks(watching)}
    async with watching.socket("track:*") as socket:
        (music / "old").rename(music / "new")
        await socket.named("track:moved")
    assert [event["event"] for event in socket.events] == ["track:moved"]  # at no time was anything missing
    after = await tracks(watching)
    assert {track["id"] for track in after} == before
    assert {track["relative_path"].split("/")[0] for track in after} == {"new"}
    assert not any(track["is_missing"] for track in after)


async def test_file_that_is_replaced_as_editors_do_keeps_its_track(watching: Running, music: Path) -> None:
    file = sound.mp3(music / "one.mp3", 1, TIT2="One")
    await followed(watching, music)
    (before,) = await tracks(watching)
    async with watching.socket("track:*") as socket:
        shutil.copy(file, music / "one.tmp")
        sound.retag(music / "one.tmp", TIT2="Better")
        (music / "one.tmp").rename(file)
        updated = await socket.named("track:updated")
    assert updated["data"]["ids"] == [before["id"]]
    assert updated["data"]["tracks"][0]["title"] == "Better"


async def test_file_is_taken_in_only_when_it_has_stopped_growing(watching: Running, music: Path) -> None:
    whole = sound.mp3(music.parent / "whole.mp3", 1, frames=400).read_bytes()
    directory = await followed(watching, music)
    async with watching.socket("track:*") as socket:
        with (music / "one.mp3").open("wb") as file:
            for start in range(0, len(whole), len(whole) // 8):
                file.write(whole[start : start + len(whole) // 8])
                file.flush()
                await asyncio.sleep(0.3)  # a slow download, longer in all than a file has to rest
                assert (await watching.scanned(directory["id"]))["counts"]["added"] == 0
        added = await socket.named("track:added")
    assert added["data"]["tracks"][0]["file_size"] == len(whole)
    assert [event["event"] for event in socket.events] == ["track:added"]


async def test_file_that_has_to_wait_for_a_scan_is_pending_until_its_own_begins(watching: Running, music: Path) -> None:
    sound.mp3(music / "one.mp3", 1)
    directory = await followed(watching, music)
    gate = Gate(watching)
    url = f"/api/scan/library/{directory['id']}"
    await watching.client.post(url, {"strategy": "full"}, status=202)
    await gate.reached.wait()

    async def pending() -> int:
        (status,) = (await watching.client.get("/api/watcher/status"))["data"]["directories"]
        return int(status["pending"])

    async with watching.socket("track:added") as socket:
        sound.mp3(music / "two.mp3", 2)
        while not await pending():
            pass
        while watching.app.watcher.growing(directory["id"]):
            assert await pending()
        assert await pending()  # it has come to rest, and the gate holds the scan that is before it
        gate.is_open.set()
        while await pending() or (await watching.client.get("/api/scan/active"))["data"]:
            pass
        assert len(await tracks(watching)) == 2
        await socket.named("track:added")


async def test_many_files_in_new_nested_folders_arrive_exactly_once(watching: Running, music: Path) -> None:
    source = music.parent / "source"
    for number in range(300):
        sound.mp3(source / str(number % 7) / str(number % 11) / f"{number}.mp3", number, frames=2)
    await followed(watching, music)
    async with watching.socket("track:*") as socket:
        await asyncio.to_thread(shutil.copytree, source, music / "copied")
        arrived: list[str] = []
        while len(arrived) < 300:
            await socket.receive()
            arrived = [track_id for event in socket.events for track_id in event["data"]["ids"]]
    assert {event["event"] for event in socket.events} == {"track:added"}
    assert len(arrived) == len(set(arrived)) == 300


async def test_what_happened_while_the_server_was_off_is_caught_at_the_start(config: Config, music: Path) -> None:
    file = sound.mp3(music / "one.mp3", 1, TIT2="One")
    async with running(config) as server:
        directory = await server.added(music)
        await server.scanned(directory["id"])
        (before,) = await tracks(server)
    sound.retag(file, TIT2="Renamed")
    (music / "sub").mkdir()
    file.rename(music / "sub" / "other.mp3")
    async with running(config, is_watching=True) as server, server.socket("*", since=0) as socket:
        await socket.named("track:moved")
        (after,) = await tracks(server)
    assert (after["id"], after["title"], after["relative_path"]) == (before["id"], "Renamed", "sub/other.mp3")


async def test_switched_off_watcher_follows_nothing(watching: Running, music: Path) -> None:
    directory = await followed(watching, music)
    status = (await watching.client.get("/api/watcher/status"))["data"]
    assert [(item["watch_state"], item["detail"]) for item in status["directories"]] == [("watching", None)]
    stopped = (await watching.client.post("/api/watcher/stop"))["data"]
    assert stopped == {"is_running": False, "directories": []}
    shown = (await watching.client.get(f"/api/library/directories/{directory['id']}"))["data"]
    assert shown["watch_state"] == "off"
    sound.mp3(music / "unheard.mp3", 1)
    async with watching.socket("track:*") as socket:
        await watching.client.post("/api/watcher/start")
        sound.mp3(music / "heard.mp3", 2)
        await socket.until(lambda event: "heard.mp3" in str(event["data"]["tracks"]))


async def test_directory_that_isnt_to_be_watched_isnt(watching: Running, music: Path) -> None:
    directory = await followed(watching, music)
    async with watching.socket("library:directory:updated") as socket:
        await watching.client.put(f"/api/library/directories/{directory['id']}", {"watch": False})
        await socket.until(lambda event: event["data"]["directory"]["watch_state"] == "off")
    assert (await watching.client.get("/api/watcher/status"))["data"]["directories"] == []


async def test_name_that_isnt_utf8_is_followed_too(watching: Running, music: Path) -> None:
    await followed(watching, music)
    async with watching.socket("track:*") as socket:
        plain = sound.mp3(music.parent / "plain.mp3", 1)
        os.rename(plain, os.path.join(os.fsencode(music), b"caf\xe9.mp3"))
        added = await socket.named("track:added")
    row = await watching.app.tracks.row(added["data"]["ids"][0])
    assert row["path"] == b"caf\xe9.mp3"


@pytest.mark.skipif(IS_POSTGRES, reason="not for PostgreSQL: locks a file")
async def test_database_that_is_locked_while_following_begins_is_waited_for(
    watching: Running, config: Config, music: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    await followed(watching, music)
    await watching.client.post("/api/watcher/stop")
    with closing(sqlite3.connect(config.sqlite_path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        sound.mp3(music / "one.mp3", 1)
        async with watching.socket("track:added") as socket, asyncio.TaskGroup() as group:
            group.create_task(watching.client.post("/api/watcher/start"))
            said = ""
            while "changed files have to wait" not in said:
                await asyncio.sleep(0.05)
                said += "".join(capfd.readouterr())
            other.execute("ROLLBACK")
            added = await socket.named("track:added")
    assert added["data"]["tracks"][0]["file_name"] == "one.mp3"


async def test_folder_whose_name_is_not_utf8_is_not_looked_at_without_end(watching: Running, music: Path) -> None:
    odd = Path(os.fsdecode(os.fsencode(music) + b"/Bj\xf6rk"))
    sound.mp3(odd / "one.mp3", 1)

    async def scans() -> int:
        return int((await watching.client.get("/api/scan/history", limit=1))["pagination"]["total"])

    async with watching.socket("library:directory:updated", "track:added") as socket:
        await followed(watching, music)
        (odd / "one.mp3").touch()  # which is news of it
        await socket.until(lambda event: event["data"].get("directory", {}).get("watch_state") == "polling")
        before = await scans()
        sound.mp3(odd / "two.mp3", 2)
        await socket.until(lambda event: "two.mp3" in str(event["data"].get("tracks")))
    assert before <= 5
    assert await scans() - before <= 2
