"""Scans of whole directories, in a process of their own: to everybody outside they are like any other."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from socket import socketpair
from typing import Any, cast

import pytest

from server.config import Config
from server.cores import Cores
from server.db.database import Database
from server.db.turn import Turn
from server.scanning import process, workers
from server.scanning.part import Part
from server.scanning.pipe import Pipe
from tests.conftest import IS_POSTGRES, make_config
from tests.support import sound
from tests.support.application import Running, running
from tests.support.process import children, ended
from tests.support.replay import recorded
from tests.support.websocket import Socket


@pytest.fixture
def apart(database_url: str) -> Config:
    return make_config(database_url=database_url, scan_process=True)


@pytest.fixture
async def mismo(apart: Config) -> AsyncIterator[Running]:
    async with running(apart) as it:
        yield it


def filled(folder: Path, count: int, first: int = 0) -> Path:
    folder.mkdir(exist_ok=True)
    for number in range(first, first + count):
        sound.mp3(folder / f"{number}.mp3", number, frames=1)
    return folder


def pid_of(mismo: Running) -> int:
    assert mismo.app.scanner.process is not None
    found = mismo.app.scanner.process.process_id
    assert found is not None
    return found


async def warm(mismo: Running, folder: Path) -> int:
    """Scan something, so that the process is there; returns its number."""
    directory = await mismo.added(filled(folder, 1, first=5000))
    await mismo.scanned(directory["id"])
    return pid_of(mismo)


@contextmanager
def frozen(pid: int) -> Iterator[None]:
    """The process does nothing within the block, however much it is told."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


async def begun(mismo: Running, directory: dict[str, Any], socket: Socket) -> str:
    """Start a scan and wait until it runs; its id."""
    scan = (await mismo.client.post(f"/api/scan/library/{directory['id']}", {}, status=202))["data"]
    await socket.until(
        lambda event: event["event"] == "library:directory:scan:started" and event["data"]["scan"]["id"] == scan["id"]
    )
    return str(scan["id"])


async def total(mismo: Running) -> int:
    return int((await mismo.client.get("/api/tracks", limit=1))["pagination"]["total"])


async def test_scan_works_in_a_process_of_its_own(mismo: Running, music: Path) -> None:
    filled(music, 200)
    (music / "broken.mp3").write_bytes(b"ID3 nothing")
    directory = await mismo.added(music)
    async with recorded(mismo, "track:*", "library:directory:scan:*") as events:
        scan = await mismo.scanned(directory["id"])
    assert (scan["state"], scan["counts"]["found"], scan["counts"]["added"]) == ("complete", 201, 201)
    assert [failure["path"] for failure in scan["failures"]] == ["broken.mp3"]
    added = [track["id"] for event in events if event["event"] == "track:added" for track in event["data"]["tracks"]]
    assert len(added) == len(set(added)) == 201 == await total(mismo)
    assert pid_of(mismo) != os.getpid()
    assert mismo.app.workers.process_ids == []  # nothing was read from here
    again = await mismo.scanned(directory["id"])
    assert (again["counts"]["unchanged"], again["counts"]["added"]) == (201, 0)


async def test_its_progress_is_told(mismo: Running, music: Path) -> None:
    directory = await mismo.added(filled(music, 50))
    async with mismo.socket("library:directory:scan:progress") as socket:
        await mismo.scanned(directory["id"])
        seen = await socket.until(lambda event: event["data"]["found"] == 50)
    assert seen["data"]["library_directory_id"] == directory["id"]


async def test_parts_that_a_watcher_names_are_scanned_here(mismo: Running, music: Path) -> None:
    directory = await mismo.added(filled(music, 3))
    async with mismo.socket("library:directory:scan:complete") as socket:
        await mismo.app.scans.start_parts(directory["id"], [Part(b"", is_recursive=False)])
        await socket.named("library:directory:scan:complete")
    assert await total(mismo) == 3
    assert mismo.app.scanner.process is not None
    assert mismo.app.scanner.process.process_id is None


async def test_paused_scan_waits_there(mismo: Running, music: Path, tmp_path: Path) -> None:
    pid = await warm(mismo, tmp_path / "warm")
    held, other = await mismo.added(filled(music, 20)), await mismo.added(filled(tmp_path / "other", 10, first=100))
    url = f"/api/scan/library/{held['id']}"
    async with mismo.socket("library:directory:scan:started") as socket:
        with frozen(pid):
            scan_id = await begun(mismo, held, socket)
            assert (await mismo.client.post(f"{url}/pause"))["data"]["state"] == "paused"
        await mismo.scanned(other["id"])
    # Of the paused one nothing was read, though there was time for all of another.
    assert await total(mismo) == 11
    assert (await mismo.client.post(f"{url}/resume"))["data"]["state"] == "running"
    await mismo.app.scanner.ended(scan_id)
    done = (await mismo.client.get(f"/api/scan/{scan_id}"))["data"]
    assert (done["state"], done["counts"]["added"]) == ("complete", 20)


async def test_cancelled_scan_ends_there(mismo: Running, music: Path, tmp_path: Path) -> None:
    pid = await warm(mismo, tmp_path / "warm")
    directory = await mismo.added(filled(music, 20))
    url = f"/api/scan/library/{directory['id']}"
    async with mismo.socket("library:directory:scan:*") as socket:
        with frozen(pid):
            scan_id = await begun(mismo, directory, socket)
            await mismo.client.post(f"{url}/pause")
            cancelling = asyncio.create_task(mismo.client.delete(url))
        assert (await cancelling)["data"]["state"] == "cancelled"
        said = await socket.named("library:directory:scan:cancelled")
    assert said["data"]["scan"]["id"] == scan_id
    assert await total(mismo) == 1
    assert (await mismo.scanned(directory["id"]))["counts"]["added"] == 20
    assert pid_of(mismo) == pid


async def test_process_that_dies_fails_its_scan_and_nothing_else(mismo: Running, music: Path, tmp_path: Path) -> None:
    pid = await warm(mismo, tmp_path / "warm")
    directory = await mismo.added(filled(music, 20))
    async with mismo.socket("library:directory:scan:*") as socket:
        os.kill(pid, signal.SIGSTOP)
        scan_id = await begun(mismo, directory, socket)
        os.kill(pid, signal.SIGKILL)
        said = await socket.named("library:directory:scan:failed")
    assert said["data"]["scan"]["id"] == scan_id
    assert said["data"]["scan"]["error"] == "the scanning process has ended"
    scan = await mismo.scanned(directory["id"])
    assert (scan["state"], scan["counts"]["added"]) == ("complete", 20)
    assert pid_of(mismo) != pid


async def test_a_reader_that_is_busy_ends_with_the_process_that_is_killed(mismo: Running, tmp_path: Path) -> None:
    pid = await warm(mismo, tmp_path / "warm")
    readers = children(pid)
    assert readers
    for reader in readers:
        os.kill(reader, signal.SIGSTOP)  # it sees nothing of what becomes of its pipes
    os.kill(pid, signal.SIGKILL)
    for reader in readers:
        assert await asyncio.to_thread(ended, reader)


async def test_turn_to_write_comes_back_from_a_process_that_dies(
    mismo: Running, music: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pid = await warm(mismo, tmp_path / "warm")
    directory = await mismo.added(filled(music, 5))
    scanning = mismo.app.scanner.process
    assert scanning is not None
    lend, is_lent = scanning._lend, asyncio.Event()

    async def lent(*given: Any) -> bool:
        is_demanded = await lend(*given)
        os.kill(pid, signal.SIGSTOP)  # it may have written already, or not
        is_lent.set()
        return is_demanded

    monkeypatch.setattr(scanning, "_lend", lent)
    async with mismo.socket("library:directory:scan:*") as socket:
        await begun(mismo, directory, socket)
        await is_lent.wait()
        writing = asyncio.create_task(mismo.client.request("PUT", "/api/settings/server_name", {"value": "Studio"}))
        monkeypatch.undo()
        os.kill(pid, signal.SIGKILL)
        assert (await writing).status == 200
        await socket.named("library:directory:scan:failed")
    await mismo.scanned(directory["id"])
    assert await total(mismo) == 6


async def test_locked_database_is_waited_for_there(mismo: Running, music: Path, tmp_path: Path, apart: Config) -> None:
    if IS_POSTGRES:
        pytest.skip("not for PostgreSQL: it has no lock on the whole database")
    pid = await warm(mismo, tmp_path / "warm")
    directory = await mismo.added(filled(music, 5))
    async with mismo.socket("library:directory:scan:*") as socket:
        with frozen(pid):
            scan_id = await begun(mismo, directory, socket)
            other = sqlite3.connect(apart.sqlite_path, isolation_level=None, check_same_thread=False)
            other.execute("BEGIN IMMEDIATE")
        with closing(other):
            await socket.until(
                lambda event: event["event"].endswith("progress") and event["data"]["phase"] == "waiting"
            )
    await mismo.app.scanner.ended(scan_id)
    assert (await mismo.client.get(f"/api/scan/{scan_id}"))["data"]["counts"]["added"] == 5


async def test_process_goes_with_the_server(apart: Config, music: Path, tmp_path: Path) -> None:
    async with running(apart) as mismo:
        pid = await warm(mismo, tmp_path / "warm")
    assert await asyncio.to_thread(ended, pid)
    async with running(apart) as mismo:
        pid = await warm(mismo, tmp_path / "again")
        directory = await mismo.added(filled(music, 5))
        async with mismo.socket("library:directory:scan:*") as socket:
            os.kill(pid, signal.SIGSTOP)  # one that doesn't answer any more is ended
            scan_id = await begun(mismo, directory, socket)
    assert await asyncio.to_thread(ended, pid)
    async with running(apart) as mismo:
        scan = (await mismo.client.get(f"/api/scan/{scan_id}"))["data"]
        assert (scan["state"], scan["error"]) == ("failed", "interrupted: the server stopped")


async def test_process_without_work_is_let_go(
    mismo: Running, music: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "IDLE_SECONDS", 60.0)
    pid = await warm(mismo, tmp_path / "warm")
    directory = await mismo.added(filled(music, 5))
    monkeypatch.setattr(process, "IDLE_SECONDS", 0.0)
    await mismo.scanned(directory["id"])
    assert await asyncio.to_thread(ended, pid)
    await mismo.scanned(directory["id"])  # one that begins while it goes waits for the next
    assert await total(mismo) == 6


async def test_process_that_was_let_go_and_hangs_doesnt_outlive_the_server(apart: Config, tmp_path: Path) -> None:
    async with running(apart) as mismo:
        pid = await warm(mismo, tmp_path / "warm")
        os.kill(pid, signal.SIGSTOP)
        assert mismo.app.scanner.process is not None
        mismo.app.scanner.process._let_go()
    assert await asyncio.to_thread(ended, pid)


async def test_scan_for_which_no_process_can_be_started_says_so(
    mismo: Running, music: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def start() -> None:
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    directory = await mismo.added(filled(music, 5))
    monkeypatch.setattr(process, "_start", start)
    async with mismo.socket("library:directory:scan:*") as socket:
        await begun(mismo, directory, socket)
        said = await socket.named("library:directory:scan:failed")
    assert "the scanning process can't be started: " in said["data"]["scan"]["error"]
    monkeypatch.undo()
    assert (await mismo.scanned(directory["id"]))["counts"]["added"] == 5


@pytest.mark.skipif(IS_POSTGRES, reason="not for PostgreSQL: locks a file")
async def test_process_that_starts_while_the_database_is_locked_waits_for_it(
    mismo: Running, apart: Config, music: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    directory = await mismo.added(filled(music, 5))
    with closing(sqlite3.connect(apart.sqlite_path, isolation_level=None)) as other:
        async with mismo.socket("library:directory:scan:*") as socket:
            await begun(mismo, directory, socket)
            other.execute("BEGIN IMMEDIATE")
            said = ""
            async with asyncio.timeout(30):
                while "scans have to wait for the database" not in said:
                    await asyncio.sleep(0.05)
                    said += "".join(capfd.readouterr())
            other.execute("ROLLBACK")
            await socket.named("library:directory:scan:complete")
    assert await total(mismo) == 5


async def test_process_that_fails_before_it_is_ready_fails_its_scan_and_no_other(
    mismo: Running, music: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = await mismo.added(filled(music, 5))
    scans = mismo.app.scanner.process
    assert scans is not None
    whole = scans._config
    monkeypatch.setattr(scans, "_config", replace(whole, database_url="sqlite:////proc/none/library.db"))
    async with mismo.socket("library:directory:scan:*") as socket:
        await begun(mismo, directory, socket)
        said = await socket.named("library:directory:scan:failed")
    assert said["data"]["scan"]["error"] == "the scanning process can't be started: exit 1"
    monkeypatch.setattr(scans, "_config", whole)
    assert (await mismo.scanned(directory["id"]))["counts"]["added"] == 5


async def test_scans_that_ask_for_it_at_once_start_one_process(
    mismo: Running, music: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "IDLE_SECONDS", 0.0)
    scans, start, may_start = mismo.app.scanner.process, process._start, asyncio.Event()
    assert scans is not None
    were_wanted, pids = [], []

    async def late() -> Any:
        were_wanted.append(bool(scans._runs))
        await may_start.wait()
        made = await start()
        pids.append(made[0].pid)
        return made

    monkeypatch.setattr(process, "_start", late)
    first, second = await mismo.added(filled(music, 2)), await mismo.added(filled(tmp_path / "other", 2, first=10))
    async with mismo.socket("library:directory:scan:*") as socket:
        await begun(mismo, first, socket)
        await begun(mismo, second, socket)
        may_start.set()
        for _ in range(2):
            await socket.named("library:directory:scan:complete")
    assert await asyncio.to_thread(ended, pids[0])
    await mismo.scanned(first["id"])
    assert were_wanted == [True, True]  # that of the two, and this one's


async def test_turn_that_is_asked_for_with_the_end_of_another_is_held() -> None:
    """Both words may be read at once, and then the first one's end must not be the second one's."""

    class Line:
        turn = Turn()

    scans = process.ScanProcess(make_config(), cast("Database", Line()), Cores(), lambda _: None)
    ours, theirs = socketpair()
    server = Pipe(
        *await asyncio.open_connection(sock=ours), {"take_turn": scans._take_turn, "end_turn": scans._end_turn}
    )
    other = Pipe(*await asyncio.open_connection(sock=theirs), {})
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(pipe.run()) for pipe in (server, other)]
        await other.ask("take_turn", False)
        other.tell("end_turn")
        await other.ask("take_turn", False)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1), Line.turn.taken():
                pass
        other.tell("end_turn")
        async with asyncio.timeout(10), Line.turn.taken():
            pass
        for task in tasks:
            task.cancel()


async def test_processes_of_another_version_read_nothing_and_say_so(
    mismo: Running, music: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mismo was upgraded in place, and the server that runs is still the old one."""
    why = "Another version of Mismo was installed while this one ran: the server must be restarted."
    directory = await mismo.added(filled(music, 5))
    for part in (process, workers):
        monkeypatch.setattr(part, "__version__", "0.0.1")
    async with mismo.socket("library:directory:scan:*") as socket:
        await begun(mismo, directory, socket)
        said = await socket.named("library:directory:scan:failed")
    assert said["data"]["scan"]["error"] == f"the scanning process can't be started: {why}"
    file = {"file_path": str(music / "0.mp3")}
    answer = await mismo.client.request("POST", "/api/tracks", file)
    assert (answer.status, answer.json["code"], answer.json["detail"]) == (503, "restart_needed", why)
    assert await total(mismo) == 0
    monkeypatch.undo()
    await mismo.client.post("/api/tracks", file, status=201)
    assert (await mismo.scanned(directory["id"]))["counts"]["added"] == 4
