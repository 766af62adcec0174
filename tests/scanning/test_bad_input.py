"""What a scan makes of folders and files that aren't as they should be: each has one outcome, and the rest comes in."""

# ruff: noqa: ASYNC221, ASYNC240 # a test may block its own loop

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from server import ids
from server.hashing import recording
from server.scanning import reader
from server.scanning.intake import Tools
from server.scanning.reader import Order, Outcome, Task, read_task
from server.scanning.request import Request
from server.tracks.model import FileFacts
from tests.conftest import IS_POSTGRES, make_config
from tests.support import sound
from tests.support.application import Running, running
from tests.support.tmpfs import needs_mounting, tmpfs

_NOBODY = 65534


@contextmanager
def without_privileges() -> Iterator[None]:
    """Root reads everything, so root's process acts as nobody for a while."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(_NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def open_music() -> Iterator[Path]:
    """A folder for music that every user may enter (pytest's own are private to their user)."""
    with tempfile.TemporaryDirectory(prefix="mismo-music-") as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


def reading(tools: Tools, before: Callable[[Request], None]) -> None:
    """Have something happen just before the workers read."""
    read = tools.workers.read

    async def read_after(request: Request) -> list[Outcome]:
        before(request)
        return await read(request)

    tools.workers.read = read_after  # type: ignore[method-assign] # the moment between walking and reading


def by_path(scan: dict[str, Any]) -> dict[str, str]:
    return {failure["path"]: failure["code"] for failure in scan["failures"]}


async def tracks(mismo: Running, **params: Any) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = (await mismo.client.get("/api/tracks", sort="file_name", limit=1000, **params))[
        "data"
    ]
    return listed


async def paths(mismo: Running, **params: Any) -> list[str]:
    return sorted(track["relative_path"] for track in await tracks(mismo, **params))


async def test_missing_directory_is_refused_with_409(mismo: Running, music: Path) -> None:
    directory = await mismo.added(music)
    music.rmdir()
    answer = await mismo.client.request("POST", f"/api/scan/library/{directory['id']}", {})
    assert (answer.status, answer.json["code"]) == (409, "directory_unavailable")
    assert (await mismo.client.get("/api/scan/history"))["data"] == []


async def test_unreadable_folder_keeps_its_tracks_and_is_named(mismo: Running, open_music: Path) -> None:
    sound.mp3(open_music / "closed" / "one.mp3", 1)
    sound.mp3(open_music / "open" / "two.mp3", 2)
    directory = await mismo.added(open_music)
    await mismo.scanned(directory["id"])
    (open_music / "closed").chmod(0)
    sound.mp3(open_music / "open" / "three.mp3", 3)
    with without_privileges():
        scan = await mismo.scanned(directory["id"])
    (open_music / "closed").chmod(0o755)
    assert scan["state"] == "complete"
    assert by_path(scan) == {"closed": "permission_denied"}
    assert (scan["counts"]["missing"], scan["counts"]["added"], scan["counts"]["failed"]) == (0, 1, 1)
    assert await paths(mismo, is_missing=False) == ["closed/one.mp3", "open/three.mp3", "open/two.mp3"]


async def test_file_that_went_before_its_folder_was_closed_comes_back_elsewhere(
    mismo: Running, open_music: Path
) -> None:
    """As with a drive: nobody can look, but what was missing before isn't in there."""
    file = sound.mp3(open_music / "closed" / "one.mp3", 1)
    sound.mp3(open_music / "closed" / "two.mp3", 2)
    directory = await mismo.added(open_music)
    await mismo.scanned(directory["id"])
    (before,) = [track for track in await tracks(mismo) if track["file_name"] == "one.mp3"]
    file.unlink()
    assert (await mismo.scanned(directory["id"]))["counts"]["missing"] == 1
    (open_music / "closed").chmod(0)
    sound.mp3(open_music / "again.mp3", 1, TIT2="Again")
    sound.mp3(open_music / "copy.mp3", 2, TIT2="Copy")
    with without_privileges():
        scan = await mismo.scanned(directory["id"])
    (open_music / "closed").chmod(0o755)
    assert (scan["counts"]["moved"], scan["counts"]["added"]) == (1, 1)
    (again,) = [track for track in await tracks(mismo) if track["file_name"] == "again.mp3"]
    assert (again["id"], again["is_missing"]) == (before["id"], False)


async def test_files_swapped_while_a_scan_reads_them_keep_their_tracks(mismo: Running, music: Path) -> None:
    names = ("a.mp3", "b.mp3")
    for name in names:
        sound.mp3(music / name, name, frames=len(name), TIT2=name)
    (music / "b.mp3").write_bytes((music / "b.mp3").read_bytes() + b"more")
    directory = await mismo.added(music)
    await mismo.scanned(directory["id"])
    before = {track["relative_path"]: track["id"] for track in await tracks(mismo)}
    read, requests = mismo.app.workers.read, 0

    async def read_one_swap_and_read_the_other(request: Request) -> list[Outcome]:
        nonlocal requests
        requests += 1
        if requests > 1:
            return await read(request)
        first = await read(replace(request, tasks=request.tasks[:1]))
        (music / "a.mp3").rename(music / "between")
        (music / "b.mp3").rename(music / "a.mp3")
        (music / "between").rename(music / "b.mp3")
        return first + await read(replace(request, tasks=request.tasks[1:]))

    mismo.app.workers.read = read_one_swap_and_read_the_other  # type: ignore[method-assign] # in the middle of reading
    torn = await mismo.scanned(directory["id"], strategy="full")
    assert by_path(torn) == {"a.mp3": "changed_while_read"}
    await mismo.scanned(directory["id"])
    after = {track["relative_path"]: track["id"] for track in await tracks(mismo)}
    assert after == {"a.mp3": before["b.mp3"], "b.mp3": before["a.mp3"]}


async def test_unreadable_file_is_named_and_nothing_is_said_about_it(open_music: Path) -> None:
    file = sound.mp3(open_music / "one.mp3", 1)
    file.chmod(0)
    order = Order(os.fsencode(open_music), ids.new_id(), with_hash=True, follow_symlinks=False, now=0)
    with without_privileges():
        outcome = read_task(Task(b"one.mp3", ids.new_id(), FileFacts(1, 1, 1, 1)), order)
    assert [failure.code for failure in outcome.failures] == ["permission_denied"]
    assert (outcome.read, outcome.row) == (None, None)


async def test_file_that_changes_while_it_is_read_waits_for_the_next_scan(
    music: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = sound.mp3(music / "one.mp3", 1)
    hash_window = recording.hash_window

    def grow_and_hash(*args: Any) -> Any:
        with file.open("ab") as stream:
            stream.write(b"more")
        return hash_window(*args)

    monkeypatch.setattr(reader, "hash_window", grow_and_hash)
    order = Order(os.fsencode(music), ids.new_id(), with_hash=True, follow_symlinks=False, now=0)
    outcome = read_task(Task(b"one.mp3", ids.new_id(), FileFacts(1, 1, 1, 1)), order)
    assert [failure.code for failure in outcome.failures] == ["changed_while_read"]
    assert (outcome.read, outcome.row) == (None, None)


async def test_unreadable_root_makes_the_directory_unavailable(mismo: Running, open_music: Path) -> None:
    sound.mp3(open_music / "one.mp3", 1)
    directory = await mismo.added(open_music)
    await mismo.scanned(directory["id"])
    open_music.chmod(0)
    with without_privileges():
        seen = (await mismo.client.post(f"/api/library/directories/{directory['id']}/check-availability"))["data"]
    open_music.chmod(0o755)
    assert (seen["is_available"], seen["unavailable_reason"]) == (False, "unreadable")
    assert seen["total_missing"] == 1
    (track,) = (await mismo.client.get("/api/tracks"))["data"]
    assert track["missing_reason"] == "media"


async def test_file_that_vanishes_before_it_is_read_is_named_and_the_others_come_in(
    mismo: Running, music: Path
) -> None:
    gone = sound.mp3(music / "gone.mp3", 1)
    sound.mp3(music / "stays.mp3", 2)
    reading(mismo.app.scans.tools, lambda _: gone.unlink(missing_ok=True))
    scan = await mismo.scanned((await mismo.added(music))["id"])
    assert by_path(scan) == {"gone.mp3": "vanished"}
    assert await paths(mismo) == ["stays.mp3"]


async def test_folder_that_vanishes_during_a_scan_makes_its_tracks_missing(mismo: Running, music: Path) -> None:
    for number in range(3):
        sound.mp3(music / "folder" / f"{number}.mp3", number)
    sound.mp3(music / "stays.mp3", 9)
    directory = await mismo.added(music)
    await mismo.scanned(directory["id"])
    subprocess.run(["rm", "-r", str(music / "folder")], check=True)
    scan = await mismo.scanned(directory["id"])
    assert scan["counts"]["missing"] == 3
    assert await paths(mismo, is_missing=False) == ["stays.mp3"]


@pytest.mark.parametrize(
    "name", [b"caf\xe9 \xff.mp3", b"n" * 251 + b".mp3", "Ünïcode 日本語 🔥.mp3".encode(), b"tab\tnew\nline'\"\\ .mp3"]
)
async def test_any_name_the_file_system_takes_is_kept_byte_for_byte(mismo: Running, music: Path, name: bytes) -> None:
    file = sound.mp3(music / "plain.mp3", 1)
    os.rename(file, os.path.join(os.fsencode(music), name))
    directory = await mismo.added(music)
    scan = await mismo.scanned(directory["id"])
    assert (scan["counts"]["added"], scan["failures"]) == (1, [])
    (track,) = (await mismo.client.get("/api/tracks"))["data"]
    row = await mismo.app.tracks.row(track["id"])
    assert row["path"] == name
    assert track["file_name"] == name.decode("utf-8", "replace")
    again = await mismo.scanned(directory["id"])
    assert (again["counts"]["unchanged"], again["counts"]["added"]) == (1, 0)


async def test_loop_of_links_ends(mismo: Running, music: Path) -> None:
    sound.mp3(music / "a" / "one.mp3", 1)
    (music / "a" / "up").symlink_to(music)
    (music / "self.mp3").symlink_to("self.mp3")
    directory = await mismo.added(music, follow_symlinks=True)
    scan = await mismo.scanned(directory["id"])
    assert await paths(mismo) == ["a/one.mp3"]
    assert by_path(scan)["self.mp3"] == "io_error"
    assert "a/up" in by_path(scan)


@pytest.mark.parametrize("follows", [False, True])
async def test_links_that_lead_out_are_never_followed(
    mismo: Running, music: Path, tmp_path: Path, follows: bool
) -> None:
    outside = sound.mp3(tmp_path / "outside" / "secret.mp3", 1)
    sound.mp3(music / "inside" / "one.mp3", 2)
    (music / "file.mp3").symlink_to(outside)
    (music / "folder").symlink_to(outside.parent)
    (music / "linked.mp3").symlink_to("inside/one.mp3")
    directory = await mismo.added(music, follow_symlinks=follows)
    scan = await mismo.scanned(directory["id"])
    expected = {"file.mp3": "symlink_outside", "folder": "symlink_outside"} if follows else {}
    assert by_path(scan) == expected
    assert await paths(mismo) == (["inside/one.mp3", "linked.mp3"] if follows else ["inside/one.mp3"])


async def test_a_partial_scan_doesnt_leave_through_a_link(mismo: Running, music: Path, tmp_path: Path) -> None:
    sound.mp3(tmp_path / "outside" / "secret.mp3", 1)
    (music / "folder").symlink_to(tmp_path / "outside")
    scan = await mismo.scanned((await mismo.added(music))["id"], path="folder")
    assert by_path(scan) == {"folder": "symlink_outside"}
    assert await paths(mismo) == []


async def test_what_only_looks_like_audio_does_no_harm(mismo: Running, music: Path) -> None:
    (music / "empty.mp3").touch()
    (music / "text.flac").write_text("this is no music\n" * 50)
    (music / "noise.m4a").write_bytes(os.urandom(5000))
    os.mkfifo(music / "pipe.mp3")
    (music / "folder.mp3").mkdir()
    sound.mp3(music / "good.mp3", 1)
    directory = await mismo.added(music)
    scan = await mismo.scanned(directory["id"])
    assert scan["state"] == "complete"
    assert set(by_path(scan)) == {"empty.mp3", "text.flac", "noise.m4a"}
    assert scan["counts"]["failed"] == 3
    tracks = (await mismo.client.get("/api/tracks", sort="file_name"))["data"]
    assert [(track["relative_path"], track["tags_error"] is not None) for track in tracks] == [
        ("empty.mp3", True),
        ("good.mp3", False),
        ("noise.m4a", True),
        ("text.flac", True),
    ]
    again = await mismo.scanned(directory["id"])
    assert (again["counts"]["unchanged"], again["failures"]) == (4, [])


async def test_locked_database_makes_the_scan_wait_and_not_fail(mismo: Running, music: Path) -> None:
    if mismo.app.config.is_postgres:
        pytest.skip("not for PostgreSQL: it has no lock on the whole database")
    sound.mp3(music / "one.mp3", 1)
    directory = await mismo.added(music)
    locked = asyncio.Event()
    other = sqlite3.connect(mismo.app.config.sqlite_path, isolation_level=None, timeout=0)

    read = mismo.app.workers.read

    async def lock_and_read(request: Request) -> list[Outcome]:
        while not locked.is_set():
            with contextlib.suppress(sqlite3.OperationalError):
                other.execute("BEGIN IMMEDIATE")
                locked.set()
            await asyncio.sleep(0)  # the server's own transaction comes to its end
        return await read(request)

    mismo.app.workers.read = lock_and_read  # type: ignore[method-assign] # the moment between walking and reading
    async with mismo.socket("library:directory:scan:progress") as socket:
        scan = asyncio.ensure_future(mismo.scanned(directory["id"]))
        await locked.wait()
        await socket.until(lambda event: event["data"]["phase"] == "waiting")
    other.execute("ROLLBACK")
    other.close()
    assert (await scan)["state"] == "complete"
    assert await paths(mismo) == ["one.mp3"]


async def test_full_disk_under_the_database_fails_the_scan_and_keeps_what_was_committed(
    tmp_path: Path, template: str, music: Path
) -> None:
    needs_mounting()
    if IS_POSTGRES:
        pytest.skip("not for PostgreSQL: its server has a disk of its own")
    for number in range(600):
        sound.mp3(music / f"{number:04}.mp3", number, frames=1)
    with tmpfs(tmp_path / "disk", "16m") as disk:
        subprocess.run(["cp", template, str(disk / "library.db")], check=True)
        async with running(make_config(database_url=f"sqlite:///{disk}/library.db")) as mismo:
            directory = await mismo.added(music)
            filler = disk / "filler"
            requests = iter(range(1000))

            def fill(_: Request) -> None:
                if next(requests) == 17:  # first batches are on their way
                    with contextlib.suppress(OSError):
                        filler.write_bytes(bytes(16 << 20))

            reading(mismo.app.scans.tools, fill)
            async with mismo.socket("library:directory:scan:progress") as socket:
                started = (await mismo.client.post(f"/api/scan/library/{directory['id']}", {}, status=202))["data"]
                await socket.until(lambda event: event["data"]["phase"] == "waiting")
            refused = await mismo.client.request("PUT", "/api/settings/server_name", {"value": "x" * 90})
            assert (refused.status, refused.json["code"]) == (507, "disk_full")
            filler.unlink()
            await mismo.app.scanner.ended(started["id"])
            scan = (await mismo.client.get(f"/api/scan/{started['id']}"))["data"]
            assert scan["state"] == "failed"
            assert "no space left" in scan["error"]
            kept = (await mismo.client.get("/api/tracks", limit=1))["pagination"]["total"]
            assert kept == scan["counts"]["added"] < 600
            again = await mismo.scanned(directory["id"])
            assert again["state"] == "complete"
            assert (again["counts"]["unchanged"], again["counts"]["added"]) == (kept, 600 - kept)
