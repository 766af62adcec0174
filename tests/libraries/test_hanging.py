"""A network mount that never answers costs the others nothing, and is back as it was when it answers again."""

# a test may block its own loop

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from server.config import Config
from tests.cli.program import Program
from tests.support import fuse, sound
from tests.support.application import Running, running
from tests.support.websocket import Socket


@pytest.fixture
def share(tmp_path: Path) -> Iterator[fuse.Mounted]:
    with fuse.mounted(tmp_path / "share", "fuse.sshfs") as found:
        for number in range(3):
            sound.mp3(found.backing / "album" / f"{number}.mp3", number, TIT2=f"Title {number}")
        yield found


@pytest.fixture
async def watching(config: Config) -> AsyncIterator[Running]:
    async with running(config, is_watching=True) as server:
        yield server


async def tracks(server: Running) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = (await server.client.get("/api/tracks", sort="file_name"))["data"]
    return listed


async def shared(server: Running, share: fuse.Mounted) -> dict[str, Any]:
    """The share as a library directory, scanned and followed."""
    async with server.socket("library:directory:updated") as socket:
        directory = await server.added(share.place)
        await socket.until(lambda event: event["data"]["directory"]["watch_state"] == "polling")
    assert directory["filesystem"]["is_network"]
    await server.scanned(directory["id"])
    return directory


async def test_mount_that_hangs_stops_nothing_else(watching: Running, share: fuse.Mounted, music: Path) -> None:
    local = await watching.added(music)
    directory = await shared(watching, share)
    before = await tracks(watching)
    async with watching.socket("library:media:*", "library:directory:scan:*", "track:added") as socket:
        share.hang()
        # However many ask for its files, others have threads left.
        asking = [
            asyncio.create_task(watching.client.request("GET", f"/api/tracks/{track['id']}/artwork"))
            for track in before * 4
        ]
        url = f"/api/library/directories/{local['id']}/check-availability"
        assert (await watching.client.post(url))["data"]["is_available"]
        assert {answer.status for answer in await asyncio.gather(*asking)} == {404}
        url = f"/api/library/directories/{directory['id']}/check-availability"
        looked_at = (await watching.client.post(url))["data"]
        assert (looked_at["is_available"], looked_at["unavailable_reason"]) == (False, "unresponsive")
        await socket.named("library:media:disconnected")
        assert [track["missing_reason"] for track in await tracks(watching)] == ["media"] * 3
        # Asked again and again it takes no further thread, and nobody else waits.
        for _ in range(20):
            await watching.client.post("/api/library/directories/check-all-availability")
        sound.mp3(music / "local.mp3", 9)
        assert (await watching.scanned(local["id"]))["state"] == "complete"
        await socket.named("track:added")
        share.answer()
        await socket.named("library:media:connected")
        complete = await socket.until(
            lambda event: (
                event["event"] == "library:directory:scan:complete"
                and event["data"]["scan"]["library_directory_id"] == directory["id"]
            )
        )
    counts = complete["data"]["scan"]["counts"]
    assert (counts["unchanged"], counts["missing"], counts["added"]) == (3, 0, 0)
    assert [track for track in await tracks(watching) if track["file_name"] != "local.mp3"] == before


async def test_program_answers_and_stops_while_a_mount_hangs(
    database_url: str, share: fuse.Mounted, tmp_path: Path
) -> None:
    program = Program(database_url, tmp_path)
    async with (
        program.serving("--library", str(share.place)) as server,
        aiohttp.ClientSession(server.url) as session,
        session.ws_connect("/ws?topics=library:*&since=0") as raw,
    ):
        socket = Socket(raw)
        await socket.named("library:directory:scan:complete")
        share.hang()
        (directory,) = (await (await session.get("/api/library/directories")).json())["data"]
        scanning = asyncio.create_task(session.post(f"/api/scan/library/{directory['id']}", json={"strategy": "full"}))
        async with session.get("/readyz") as answer:
            assert answer.status == 200
        async with session.get("/api/tracks") as answer:
            assert len((await answer.json())["data"]) == 3
        result = await server.stop()
        with contextlib.suppress(aiohttp.ClientError):
            (await scanning).close()
    assert result.code == 0, result.err
    assert "Traceback" not in result.err


async def test_deck_gets_other_tracks_while_a_mount_hangs(
    database_url: str, share: fuse.Mounted, music: Path, tmp_path: Path
) -> None:
    sound.mp3(music / "local.mp3", 9)
    program = Program(database_url, tmp_path)
    async with (
        program.serving("--library", str(share.place), "--library", str(music)) as server,
        aiohttp.ClientSession(server.url) as session,
        session.ws_connect("/ws?topics=library:*&since=0") as raw,
    ):
        socket = Socket(raw)
        ended: set[str] = set()

        def are_both_scanned(event: dict[str, Any]) -> bool:
            if event["event"] == "library:directory:scan:complete":
                ended.add(event["data"]["scan"]["library_directory_id"])
            return len(ended) == 2

        await socket.until(are_both_scanned)
        async with session.get("/api/tracks?sort=file_name") as answer:
            *shared, local = [track["id"] for track in (await answer.json())["data"]]

        async def code(track_id: str) -> str:
            async with session.get(f"/api/audio-server/tracks/{track_id}") as answer:
                return str((await answer.json())["code"])

        assert {await code(track_id) for track_id in (*shared, local)} == {"analysis_not_complete"}
        share.hang()
        waiting = [asyncio.create_task(code(track_id)) for track_id in shared * 3]
        for _ in range(20):
            assert await code(local) == "analysis_not_complete"
        assert not any(task.done() for task in waiting)
        assert {await task for task in waiting} == {"track_file_missing"}
        waiting = [asyncio.create_task(code(track_id)) for track_id in shared * 3]
        assert await code(local) == "analysis_not_complete"
        result = await server.stop()  # while a thread is still in there
        await asyncio.gather(*waiting, return_exceptions=True)
    assert result.code == 0, result.err
    assert "Traceback" not in result.err


async def test_share_is_polled(watching: Running, share: fuse.Mounted) -> None:
    await shared(watching, share)
    async with watching.socket("track:*") as socket:
        new = sound.mp3(share.backing / "album" / "new.mp3", 50)
        added = await socket.named("track:added")
        sound.mp3(share.backing / "other" / "deep" / "newer.mp3", 51)
        await socket.until(lambda event: "newer.mp3" in str(event["data"].get("tracks")))
        sound.retag(new, TIT2="Retagged")
        updated = await socket.named("track:updated")
        new.rename(share.backing / "album" / "renamed.mp3")
        moved = await socket.named("track:moved")
        (share.backing / "album" / "renamed.mp3").unlink()
        missing = await socket.named("track:missing")
        socket.events.clear()
        shutil.rmtree(share.backing / "other")
        await socket.named("track:missing")
    assert added["data"]["ids"] == updated["data"]["ids"] == moved["data"]["ids"] == missing["data"]["ids"]
