"""Scans as things one can queue, hold, end and look back on."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Sequence
from pathlib import Path
from typing import Any

import pytest

from server.config import Config
from server.db import database
from server.db.database import Connection
from server.events.model import Event
from server.scanning import scanner
from server.scanning.reader import Outcome
from server.scanning.request import Request
from server.scanning.run import ScanRun
from server.scanning.scanner import Running as RunningScan
from server.tracks.events import TrackAdded
from tests.conftest import make_config
from tests.support import sound
from tests.support.application import Running, running
from tests.support.gate import Gate
from tests.support.library import done
from tests.support.websocket import Socket


async def start(server: Running, directory: dict[str, Any], **body: Any) -> dict[str, Any]:
    scan: dict[str, Any] = (await server.client.post(f"/api/scan/library/{directory['id']}", body, status=202))["data"]
    return scan


async def test_cancelled_scan_keeps_what_it_wrote_and_the_next_one_goes_on(mismo: Running, music: Path) -> None:
    for number in range(1000):
        sound.mp3(music / f"{number:04}.mp3", number, frames=1)
    directory = await mismo.added(music)
    gate = Gate(mismo, free=20)
    async with mismo.socket("library:directory:scan:*", "track:added", detail="ids") as socket:
        scan = await start(mismo, directory)
        await gate.reached.wait()
        await socket.named("track:added")  # the first batch is written
        ended = (await mismo.client.delete(f"/api/scan/library/{directory['id']}"))["data"]
        await socket.named("library:directory:scan:cancelled")
    assert (ended["id"], ended["state"]) == (scan["id"], "cancelled")
    kept = (await mismo.client.get("/api/tracks", limit=1))["pagination"]["total"]
    assert kept == ended["counts"]["added"]
    assert 0 < kept < 1000
    gate.opened_files.clear()
    gate.is_open.set()
    again = await mismo.scanned(directory["id"])
    assert (again["counts"]["unchanged"], again["counts"]["added"]) == (kept, 1000 - kept)
    assert len(gate.opened_files) == 1000 - kept


async def test_batch_whose_commit_is_met_by_a_cancel_is_counted(
    mismo: Running, music: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A COMMIT runs to its end though its caller is cancelled; what it wrote was written by this scan."""
    for number in range(10):
        sound.mp3(music / f"{number}.mp3", number, frames=1)
    directory = await mismo.added(music)
    record, to_the_end = mismo.app.log.record, database.to_the_end
    is_next = False

    async def noticed(connection: Connection, recorded: Sequence[Event]) -> int:
        nonlocal is_next
        is_next = any(isinstance(event, TrackAdded) for event in recorded)
        return await record(connection, recorded)

    async def late(commit: Awaitable[Any]) -> Any:
        (running,) = mismo.app.scanner.running.values()
        running.cancel()  # what DELETE does; a request would come at any moment
        for _ in range(10):
            await asyncio.sleep(0)  # until the cancellation has come from the scan's task to the one that writes
        return await commit

    async def ending(awaitable: Awaitable[Any]) -> Any:
        nonlocal is_next
        is_commit, is_next = is_next, False
        return await to_the_end(late(awaitable) if is_commit else awaitable)

    monkeypatch.setattr(mismo.app.log, "record", noticed)
    monkeypatch.setattr(database, "to_the_end", ending)
    scan = await mismo.scanned(directory["id"])
    assert (scan["state"], scan["counts"]["added"]) == ("cancelled", 10)
    assert (await mismo.client.get("/api/tracks", limit=1))["pagination"]["total"] == 10


async def test_paused_scan_opens_nothing_until_it_is_resumed(mismo: Running, music: Path) -> None:
    for number in range(200):
        sound.mp3(music / f"{number:03}.mp3", number, frames=1)
    directory = await mismo.added(music)
    url = f"/api/scan/library/{directory['id']}"
    gate = Gate(mismo)
    scan = await start(mismo, directory)
    await gate.reached.wait()
    assert (await mismo.client.request("POST", f"{url}/resume")).status == 409
    assert (await mismo.client.post(f"{url}/pause"))["data"]["state"] == "paused"
    assert (await mismo.client.get(f"/api/library/directories/{directory['id']}"))["data"]["scan_status"] == "paused"
    assert (await mismo.client.request("POST", f"{url}/pause")).status == 409
    gate.is_open.set()
    assert (await mismo.client.post(f"{url}/resume"))["data"]["state"] == "running"
    await mismo.app.scanner.ended(scan["id"])
    ended = (await mismo.client.get(f"{url}/status"))["data"]
    assert (ended["state"], ended["counts"]["added"]) == ("complete", 200)


@pytest.mark.parametrize("scan_process", [True, False])
async def test_paused_scan_ends_only_when_resumed_and_keeps_no_other_waiting(
    database_url: str, music: Path, tmp_path: Path, *, scan_process: bool
) -> None:
    sound.mp3(music / "one.mp3", 1)
    config = make_config(database_url=database_url, max_concurrent_scans=1, scan_process=scan_process)
    async with running(config) as mismo, mismo.socket("library:directory:scan:started") as socket:
        directory = await mismo.added(music)
        url = f"/api/scan/library/{directory['id']}"
        scan = await start(mismo, directory)
        await socket.named("library:directory:scan:started")
        assert (await mismo.client.post(f"{url}/pause"))["data"]["state"] == "paused"
        sound.mp3(tmp_path / "other" / "two.mp3", 2)
        other = await mismo.added(tmp_path / "other")
        assert (await mismo.scanned(other["id"]))["state"] == "complete"
        # By now the first one would have come to its end, too.
        assert (await mismo.client.get(f"/api/scan/{scan['id']}"))["data"]["state"] == "paused"
        await mismo.client.post(f"{url}/resume")
        await mismo.app.scanner.ended(scan["id"])
        assert (await mismo.client.get(f"/api/scan/{scan['id']}"))["data"]["state"] == "complete"
        assert (await mismo.client.get("/api/tracks"))["pagination"]["total"] == 2


async def test_pause_that_is_told_as_the_scan_ends_keeps_its_word(
    mismo: Running, music: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With several servers the one that scans hears of a pause a moment after it is stored."""
    sound.mp3(music / "one.mp3", 1)
    directory = await mismo.added(music)
    url, gate, refused = f"/api/scan/library/{directory['id']}", Gate(mismo), asyncio.Event()
    is_stored = mismo.app.scanner._is_stored

    async def noticed(end: Any) -> bool:
        stored = await is_stored(end)
        if not stored:
            refused.set()
        return stored

    monkeypatch.setattr(scanner, "RETRY_SECONDS", 0.01)
    monkeypatch.setattr(mismo.app.scanner, "_is_stored", noticed)
    scan = await start(mismo, directory)
    await gate.reached.wait()
    with monkeypatch.context() as patch:
        patch.setattr(ScanRun, "hold", lambda _, *, is_paused: None)
        await mismo.client.post(f"{url}/pause")
        gate.is_open.set()
        await refused.wait()
    assert (await mismo.client.get(f"/api/scan/{scan['id']}"))["data"]["state"] == "paused"
    await mismo.client.post(f"{url}/resume")
    await mismo.app.scanner.ended(scan["id"])
    assert (await mismo.client.get(f"/api/scan/{scan['id']}"))["data"]["state"] == "complete"


async def test_second_scan_of_a_directory_is_refused_while_one_is_active(mismo: Running, music: Path) -> None:
    sound.mp3(music / "a.mp3", 1)
    directory = await mismo.added(music)
    gate = Gate(mismo)
    await start(mismo, directory)
    await gate.reached.wait()
    answer = await mismo.client.request("POST", f"/api/scan/library/{directory['id']}", {})
    assert (answer.status, answer.json["code"]) == (409, "scan_active")
    gate.is_open.set()
    await mismo.app.scanner.idle()
    assert (await mismo.client.request("DELETE", f"/api/scan/library/{directory['id']}")).status == 404


async def test_queue_goes_by_priority_and_keeps_to_its_limit(mismo: Running, tmp_path: Path) -> None:
    directories = []
    for number in range(5):
        sound.mp3(tmp_path / f"library {number}" / "a.mp3", number)
        directories.append(await mismo.added(tmp_path / f"library {number}"))
    gate = Gate(mismo)
    async with mismo.socket("library:directory:scan:*") as socket:
        for directory in directories[:2]:
            await start(mismo, directory, priority="low")
            await socket.until(lambda event, directory=directory: has_started(event, directory))  # type: ignore[misc]
        for directory, priority in zip(directories[2:], ("low", "normal", "high"), strict=True):
            await start(mismo, directory, priority=priority)
        active = (await mismo.client.get("/api/scan/active"))["data"]
        assert len(active) == 5
        gate.is_open.set()
        for directory in directories:
            await socket.until(
                lambda event, directory=directory: (
                    event["event"].endswith(":complete")  # type: ignore[misc]
                    and event["data"]["scan"]["library_directory_id"] == directory["id"]
                )
            )
    at_once = most = 0
    for event in socket.events:
        at_once += {"started": 1, "complete": -1}.get(event["event"].rsplit(":", 1)[-1], 0)
        most = max(most, at_once)
    assert most == mismo.app.config.max_concurrent_scans == 2
    started = [
        event["data"]["scan"]["library_directory_id"] for event in socket.events if event["event"].endswith(":started")
    ]
    # Both places become free at once, so that the two that go first may commit their starts in either order.
    assert set(started[2:4]) == {directories[4]["id"], directories[3]["id"]}
    assert started[4] == directories[2]["id"]


def has_started(event: dict[str, Any], directory: dict[str, Any]) -> bool:
    return bool(
        event["event"] == "library:directory:scan:started"
        and event["data"]["scan"]["library_directory_id"] == directory["id"]
    )


async def test_history_lists_scans_newest_first_with_their_failures(mismo: Running, music: Path) -> None:
    (music / "broken.flac").write_bytes(b"fLaC" + bytes(100))
    directory = await mismo.added(music)
    first = await mismo.scanned(directory["id"])
    second = await mismo.scanned(directory["id"])
    history = (await mismo.client.get("/api/scan/history", library_id=directory["id"]))["data"]
    assert [scan["id"] for scan in history] == [second["id"], first["id"]]
    assert {failure["path"] for failure in history[1]["failures"]} == {"broken.flac"}
    shown = (await mismo.client.get(f"/api/library/directories/{directory['id']}"))["data"]
    assert (shown["last_scan"], shown["scan_status"]) == (second["finished_at"], "idle")


async def test_partial_scan_touches_only_its_folder(mismo: Running, music: Path) -> None:
    for name in ("a/1.mp3", "a/b/2.mp3", "a.b/3.mp3", "c/4.mp3"):
        sound.mp3(music / name, name)
    directory = await mismo.added(music)
    scan = await mismo.scanned(directory["id"], path="a")
    assert (scan["path"], scan["counts"]["added"]) == ("a", 2)
    await mismo.scanned(directory["id"])
    (music / "a" / "b" / "2.mp3").unlink()
    (music / "c" / "4.mp3").unlink()
    assert (await mismo.scanned(directory["id"], path="a"))["counts"]["missing"] == 1
    for path in ("../x", "/etc", "a//b", ".", "a/../c"):
        answer = await mismo.client.request("POST", f"/api/scan/library/{directory['id']}", {"path": path})
        assert answer.status == 422, path


async def test_folder_that_has_gone_may_be_scanned_but_not_one_that_never_was(mismo: Running, music: Path) -> None:
    for name in ("a/1.mp3", "2.mp3"):
        sound.mp3(music / name, name)
    directory = await mismo.added(music)
    await mismo.scanned(directory["id"])
    for path in ("b", "A", "2.mp3"):
        answer = await mismo.client.request("POST", f"/api/scan/library/{directory['id']}", {"path": path})
        assert (answer.status, answer.json["errors"][0]["field"]) == (422, "path"), path
    shutil.rmtree(music / "a")
    assert (await mismo.scanned(directory["id"], path="a"))["counts"]["missing"] == 1


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"max_depth": 1}, {"1.mp3", "a/2.mp3"}),
        ({"recursive_scan": False}, {"1.mp3"}),
        ({"scan_patterns": ["*.flac", "a/**"]}, {"a/2.mp3", "a/b/3.mp3"}),
        ({"exclude_patterns": ["b"]}, {"1.mp3", "a/2.mp3"}),
    ],
)
async def test_depth_and_patterns_choose_what_is_taken_in(
    mismo: Running, music: Path, values: dict[str, Any], expected: set[str]
) -> None:
    for name in ("1.mp3", "a/2.mp3", "a/b/3.mp3"):
        sound.mp3(music / name, name)
    await mismo.scanned((await mismo.added(music, **values))["id"])
    tracks = (await mismo.client.get("/api/tracks"))["data"]
    assert {track["relative_path"] for track in tracks} == expected


async def test_scan_that_the_end_of_the_server_interrupts_is_told_as_failed(config: Config, music: Path) -> None:
    for number in range(600):
        sound.mp3(music / f"{number:03}.mp3", number, frames=1)
    async with running(config) as server:
        directory = await server.added(music)
        gate = Gate(server, free=17)
        scan = await start(server, directory)
        await gate.reached.wait()
    async with running(config) as server:
        ended = (await server.client.get(f"/api/scan/{scan['id']}"))["data"]
        assert (ended["state"], ended["error"]) == ("failed", "interrupted: the server stopped")
        again = await server.scanned(directory["id"])
        assert again["counts"]["unchanged"] + again["counts"]["added"] == 600


async def end_of(socket: Socket, directory: dict[str, Any]) -> tuple[str, str]:
    """A library directory, and how its scan ends."""
    ended = await socket.until(
        lambda event: (
            event["event"].endswith((":cancelled", ":complete", ":failed"))
            and event["data"]["scan"]["library_directory_id"] == directory["id"]
        )
    )
    return directory["id"], ended["data"]["scan"]["state"]


@pytest.mark.parametrize("is_queued", [True, False])
async def test_scan_of_a_directory_that_leaves_the_library_ends_and_the_others_go_on(
    database_url: str, music: Path, tmp_path: Path, is_queued: bool
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    sound.mp3(music / "one.mp3", 1)
    sound.mp3(other / "two.mp3", 2)
    async with running(make_config(database_url=database_url, max_concurrent_scans=1)) as mismo:
        first, second = await mismo.added(music), await mismo.added(other)
        gate = Gate(mismo)
        async with mismo.socket("library:directory:scan:*") as socket:
            await start(mismo, first)
            await gate.reached.wait()
            await start(mismo, second)
            gone, kept = (second, first) if is_queued else (first, second)
            await mismo.client.delete(f"/api/library/directories/{gone['id']}")
            gate.is_open.set()
            ends = {await end_of(socket, gone), await end_of(socket, kept)}
        assert ends == {(gone["id"], "cancelled"), (kept["id"], "complete")}
        assert (await mismo.scanned(kept["id"]))["counts"]["unchanged"] == 1


async def test_cancel_that_comes_while_the_end_is_stored_is_answered(
    mismo: Running, music: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sound.mp3(music / "one.mp3", 1)
    directory = await mismo.added(music)
    scanner, reached, may_end = mismo.app.scanner, asyncio.Event(), asyncio.Event()
    end = scanner.end

    async def late(*arguments: Any, **options: Any) -> Any:
        reached.set()
        await may_end.wait()
        return await end(*arguments, **options)

    cancel = RunningScan.cancel

    def cancelled(scan: RunningScan) -> None:
        cancel(scan)
        may_end.set()

    monkeypatch.setattr(scanner, "end", late)
    monkeypatch.setattr(RunningScan, "cancel", cancelled)
    await start(mismo, directory)
    await reached.wait()
    ended = (await mismo.client.delete(f"/api/scan/library/{directory['id']}"))["data"]
    assert ended["state"] == "complete"
    async with asyncio.timeout(10):
        await scanner.idle()
    assert (await mismo.scanned(directory["id"]))["counts"]["unchanged"] == 1


@pytest.mark.parametrize("verb", ["rename", "delete"])
async def test_what_is_moved_or_deleted_while_a_full_scan_holds_it_stays_so(
    mismo: Running, music: Path, verb: str
) -> None:
    """A full scan has read the files, and writes down only later what it has seen."""
    for number in range(30):
        sound.mp3(music / f"{number}.mp3", number)
    directory = await mismo.added(music)
    await mismo.scanned(directory["id"])
    before = {track["id"] for track in (await mismo.client.get("/api/tracks", limit=100))["data"]}
    read, are_read, may_go_on = mismo.app.workers.read, asyncio.Event(), asyncio.Event()

    async def late(request: Request) -> list[Outcome]:
        outcomes = await read(request)
        are_read.set()
        await may_go_on.wait()
        return outcomes

    mismo.app.workers.read = late  # type: ignore[method-assign] # behind the real pool
    await start(mismo, directory, strategy="full")
    await are_read.wait()
    for number, track_id in enumerate(sorted(before)):
        path = f"/api/tracks/{track_id}"
        if verb == "rename":
            answer = await mismo.client.post(f"{path}/rename", {"new_name": f"new {number}"}, status=202)
        else:
            answer = await mismo.client.delete(f"{path}/file", {"confirm": True}, status=202)
        await done(mismo, answer)
    may_go_on.set()
    await mismo.app.scanner.idle()
    tracks = (await mismo.client.get("/api/tracks", limit=100))["data"]
    assert {track["id"] for track in tracks} == before
    assert {track["is_missing"] for track in tracks} == {verb == "delete"}
