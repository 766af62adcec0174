"""Operations under strace: killed, or refused by the system, at every file-system call; then recovered and judged.

`python -m tests.operations.crash` runs everything (`scripts/crash_operations`); the tests run a part. For each
scenario, each fault and each system call by its name (strace counts each by itself), k = 1, 2, 3 … until a run ends
undisturbed: the k-th such call of the thread that works on the disk (or of the one that writes the database) is hit. So
every file-system call is hit once. Afterwards a new start must bring everything in order, and a second one
change nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import logging
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog

from server import app as application
from server.app import App
from server.db.database import Database
from server.db.migrate import migrate
from server.operations.model import Kind, Options, Place, Request, State
from server.operations.runner import OperationRunner
from tests.support import sound
from tests.support.application import running

CALLS = (
    "openat,close,newfstatat,fstat,statx,lseek,read,pread64,write,pwrite64,fsync,fdatasync,ftruncate,renameat2,renameat,"
    "rename,linkat,unlinkat,unlink,mkdirat,mkdir,rmdir,getdents64,utimensat,fchmod,fchown,fstatfs,statfs,fadvise64,"
    "readlink,readlinkat,lstat,stat,access"
)
ERRORS = ("ENOSPC", "EIO", "EXDEV", "EACCES", "EINTR")
FAULTS = ("KILL", *ERRORS, "EIO+")
BACKOFF = (0.005, 0.005, 0.005)


@dataclass(frozen=True, slots=True)
class Scenario:
    """What is asked for. `files` of the library take part; `is_undo`: it is done in peace, and its undo disturbed."""

    name: str
    kind: Kind
    target: str = ""
    files: int = 1
    is_undo: bool = False
    is_across: bool = False
    without_renameat2: bool = False


def scenarios(batch: int) -> list[Scenario]:
    return [
        Scenario("move", Kind.MOVE, "deep/er/{name}"),
        Scenario("move across", Kind.MOVE, "deep/{name}", is_across=True),
        Scenario("rename", Kind.RENAME, "A{name}"),
        Scenario("rename by link", Kind.RENAME, "A{name}", without_renameat2=True),
        Scenario("delete", Kind.DELETE),
        Scenario("restore", Kind.DELETE, is_undo=True),
        Scenario("undo", Kind.MOVE, "deep/{name}", is_undo=True),
        Scenario("undo across", Kind.MOVE, "deep/{name}", is_undo=True, is_across=True),
        Scenario("batch", Kind.MOVE, "all/{name}", files=batch),
    ]


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens (`KILL`, an error's name, with `+` for every time from then on) at which thread's k-th call."""

    what: str
    thread: str
    call: str
    k: int

    def __str__(self) -> str:
        return f"{self.what} at {self.thread} {self.call} {self.k}"

    @property
    def injection(self) -> str:
        action = "signal=KILL" if self.what == "KILL" else f"error={self.what.rstrip('+')}"
        return f"inject={self.call}:{action}:when={self.k}{'+' if self.what.endswith('+') else ''}"


@dataclass(slots=True)
class Tally:
    """What came of it."""

    runs: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Ground:
    """The library that the faults are tried on: one directory, and another one on a file system of its own."""

    base: Path
    music: Path
    other: Path
    database: Path
    directories: tuple[str, str]
    tracks: tuple[tuple[str, str], ...]  # (id, name)

    @property
    def url(self) -> str:
        return f"sqlite:///{self.database}"


def missing_programs() -> str | None:
    """Why the faults can't be tried here."""
    if shutil.which("strace") is None:
        return "strace isn't there"
    if os.geteuid() != 0:
        return "mounting a file system takes root"
    return None


@contextmanager
def ground(files: int) -> Iterator[Ground]:
    """A scanned library in a temporary folder; the first track has a side-car."""
    base = Path(tempfile.mkdtemp(prefix="mismo-crash-"))
    music, other = base / "music", base / "other"
    music.mkdir()
    other.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", other], check=True)
    try:
        for number in range(files):
            sound.mp3(music / f"{number:02}.mp3", number, frames=4)
        (music / "00.lrc").write_text("la la")
        (other / "keep.txt").write_text("an empty directory counts as unplugged")
        sound.mp3(other / "other.mp3", "other", frames=4)
        database = base / "library.db"
        directories, tracks = in_child(lambda: _scanned(f"sqlite:///{database}", [music, other]))
        yield Ground(base, music, other, database, tuple(directories), tuple(map(tuple, tracks)))
    finally:
        subprocess.run(["umount", "-l", other], check=True)
        shutil.rmtree(base)


async def _scanned(url: str, folders: Sequence[Path]) -> Any:
    from tests.conftest import make_config

    database = application.open_database(make_config(database_url=url))
    await database.open()
    await migrate(database)
    await database.close()
    async with running(make_config(database_url=url)) as mismo:
        directories = [(await mismo.added(folder))["id"] for folder in folders]
        for directory in directories:
            await mismo.scanned(directory)
        listed = (await mismo.client.get("/api/tracks", limit=1000, library_id=directories[0], sort="file_name"))[
            "data"
        ]
    return directories, [(track["id"], track["relative_path"]) for track in listed]


# -- processes


def in_child(work: Callable[[], Awaitable[Any]]) -> Any:
    """Run something in a process of its own, undisturbed; answers what it returned."""
    read_end, write_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        _be_child(work, write_end)
    os.close(write_end)
    with os.fdopen(read_end, "rb") as answers:
        content = answers.read()
    _, status = os.waitpid(pid, 0)
    if status != 0:
        raise RuntimeError(f"the undisturbed process ended with {status}")
    return json.loads(content)


def _be_child(work: Callable[[], Awaitable[Any]], write_end: int) -> None:
    code = 1
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        result = asyncio.run(_awaited(work))
        os.write(write_end, json.dumps(result).encode())
        code = 0
    except BaseException:  # a child must never go on as its parent
        import traceback

        traceback.print_exc()
    os._exit(code)


async def _awaited(work: Callable[[], Awaitable[Any]]) -> Any:
    return await work()


@dataclass(slots=True)
class Server:
    """The parts of a server that file operations need, on the ground's database."""

    app: App
    runner: OperationRunner
    database: Database


async def _served(place: Ground, work: Callable[[Server], Awaitable[Any]]) -> Any:
    from tests.conftest import make_config

    config = make_config(database_url=place.url)
    database = application.open_database(config)
    await database.open()
    app = await application.build(config, database)
    runner = next(service for service in app.services if isinstance(service, OperationRunner))
    runner.tools.backoff = BACKOFF
    async with asyncio.TaskGroup() as group:
        services = [group.create_task(app.bus.run()), group.create_task(runner.run())]
        result = await work(Server(app, runner, database))
        for task in services:
            task.cancel()
    await application.close(app)
    return result


async def _until_idle(server: Server) -> None:
    while True:
        left = await server.database.fetch_value(
            "SELECT count(*) FROM file_operations WHERE state IN ('queued', 'running')"
        )
        if not left or server.runner.is_stuck():
            return
        await asyncio.sleep(0.002)


async def _ask(place: Ground, scenario: Scenario, server: Server) -> list[str]:
    """Queue what a scenario asks for; answers the operations' ids."""
    directory = place.directories[1] if scenario.is_across else place.directories[0]
    requests = [
        Request(
            scenario.kind,
            track_id,
            Place(directory, scenario.target.format(name=name).encode()) if scenario.target else None,
            Options(),
        )
        for track_id, name in place.tracks[: scenario.files]
    ]
    return [item.id for item in await server.app.operations.queue(requests, is_atomic=True)]


async def _undo(server: Server, ids: Sequence[str]) -> None:
    done = [item.id for item in await server.app.operations.by_ids(ids) if item.state is State.DONE]
    if done:
        async with server.app.uow() as tx:
            await server.app.operations.enqueue_undo(tx, done)
    await _until_idle(server)


# -- one run


def disturbed(place: Ground, scenario: Scenario, fault: Fault) -> tuple[bool, str]:
    """Do the scenario with its k-th call of a name hit; (whether the fault came to pass, what strace saw of it)."""
    prepared = in_child(lambda: _served(place, lambda server: _prepare(place, scenario, server)))
    ready_read, ready_write = os.pipe()
    go_read, go_write = os.pipe()
    pid = os.fork()
    if pid == 0:
        # What a disturbed process has to say is noise, unless it never got as far as being disturbed.
        said = os.open(place.base / "said", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(said, 1)
        os.dup2(said, 2)
        os.close(ready_read)
        os.close(go_write)
        gate = Gate(fault.thread, ready_write, go_read)
        _be_child(lambda: _served(place, lambda server: _disturb(place, scenario, server, prepared, gate)), ready_write)
    os.close(ready_write)
    os.close(go_read)
    answer = os.read(ready_read, 32)
    if not answer:
        raise RuntimeError((place.base / "said").read_text())
    thread_id = int(answer)
    log = place.base / "strace"
    injections = [fault.injection]
    if scenario.without_renameat2:
        injections.append("inject=renameat2:error=EINVAL")
    command = ["strace", "-qq", "-p", str(thread_id), "-o", str(log), "-e", f"trace={CALLS}"]
    for injection in injections:
        command += ["-e", injection]
    tracer = subprocess.Popen(command, stderr=subprocess.PIPE)
    _wait_until_traced(thread_id, tracer)
    os.write(go_write, b"g")
    os.close(go_write)
    with os.fdopen(ready_read, "rb") as answers:
        answers.read()
    os.waitpid(pid, 0)
    tracer.terminate()
    tracer.communicate()
    seen = log.read_text(errors="replace")
    is_killed = "killed by SIGKILL" in seen
    hits = [line for line in seen.splitlines() if "(INJECTED)" in line and line.startswith(f"{fault.call}(")]
    return (is_killed if fault.what == "KILL" else bool(hits)), seen


def _wait_until_traced(thread_id: int, tracer: subprocess.Popen[bytes]) -> None:
    while "TracerPid:\t0" in Path(f"/proc/{thread_id}/status").read_text():
        if tracer.poll() is not None:
            raise RuntimeError(f"strace ended: {tracer.communicate()[1].decode()}")
        time.sleep(0.001)


async def _prepare(place: Ground, scenario: Scenario, server: Server) -> list[str]:
    if not scenario.is_undo:
        return []
    ids = await _ask(place, scenario, server)
    await _until_idle(server)
    return ids


@dataclass(frozen=True, slots=True)
class Gate:
    """Where a process waits until one of its threads is traced."""

    thread: str
    ready: int
    go: int


async def _disturb(place: Ground, scenario: Scenario, server: Server, prepared: list[str], gate: Gate) -> None:
    server.runner._pool.submit(int).result()
    os.write(gate.ready, str(_thread_id(server, gate.thread)).encode())
    await asyncio.to_thread(os.read, gate.go, 1)
    if scenario.is_undo:
        async with server.app.uow() as tx:
            await server.app.operations.enqueue_undo(tx, prepared)
    else:
        await _ask(place, scenario, server)
    await _until_idle(server)


def _thread_id(server: Server, thread: str) -> int:
    if thread == "disk":
        found = [item for item in threading.enumerate() if item.name.startswith("file-operations")]
    else:
        writer: Any = server.database
        found = [writer._writer._connection._thread]
    native = found[0].native_id
    assert native is not None
    return native


@dataclass(slots=True)
class Judge:
    """Holds the ground against how it was at first."""

    place: Ground
    content: Counter[bytes] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.content = self._content()

    def _files(self) -> list[Path]:
        return [
            Path(parent) / name
            for folder in (self.place.music, self.place.other)
            for parent, _, names in os.walk(folder)
            for name in names
        ]

    def _content(self) -> Counter[bytes]:
        return Counter(file.read_bytes() for file in self._files() if file.name != "manifest.json")

    def problems(self) -> list[str]:
        """After recovery: everything whole in one place, nothing temporary, and the database agrees."""
        found = []
        content = self._content()
        if content != self.content:
            found.append(f"lost {len(self.content - content)} and doubled {len(content - self.content)} files")
        found += [f"temporary file {file.name}" for file in self._files() if file.name.endswith(".part")]
        connection = sqlite3.connect(self.place.database)
        try:
            rows = connection.execute(
                "SELECT root, path, missing_since, file_size, file_inode, id FROM tracks"
                " JOIN track_locations USING (library_directory_id)"
            ).fetchall()
            active = connection.execute(
                "SELECT count(*) FROM file_operations WHERE state IN ('queued', 'running')"
            ).fetchone()[0]
        finally:
            connection.close()
        if active:
            found.append(f"{active} operations neither done nor failed")
        trashed = {file.parent.name for file in self._files() if ".mismo-trash" in file.parts}
        for root, path, missing_since, size, inode, track_id in rows:
            file = Path(os.fsdecode(root)) / os.fsdecode(path)
            if missing_since is None:
                if not file.is_file() or (file.stat().st_size, file.stat().st_ino) != (size, inode):
                    found.append(f"track {track_id} isn't at {file}")
            elif file.exists() or not trashed:
                found.append(f"track {track_id} is called missing, wrongly")
        return found

    def seq(self) -> int:
        connection = sqlite3.connect(self.place.database)
        try:
            return int(connection.execute("SELECT seq FROM event_head").fetchone()[0])
        finally:
            connection.close()


async def _recover(server: Server) -> None:
    await _until_idle(server)


async def _start_again_and_reset(server: Server) -> int:
    """The last event's number after a further start; then take back what was done, so that the next run finds the
    ground as this one did.
    """
    await _until_idle(server)
    seq: int = await server.database.fetch_value("SELECT seq FROM event_head")
    rows = await server.database.fetch_all(
        "SELECT id FROM file_operations WHERE state = 'done' AND kind <> 'undo' ORDER BY pk"
    )
    await _undo(server, [row["id"] for row in rows])
    return seq


def try_out(
    place: Ground, scenario: Scenario, faults: Sequence[str], threads: Sequence[str], step: int, tally: Tally
) -> None:
    """All the k of a scenario."""
    judge = Judge(place)
    for thread in threads:
        calls = _calls_of(place, scenario, thread)
        for what in faults:
            for call in calls:
                k = 1
                while one_run(place, scenario, Fault(what, thread, call, k), judge, tally):
                    k += step


def _calls_of(place: Ground, scenario: Scenario, thread: str) -> list[str]:
    """The names of the calls that a thread makes in an undisturbed run, in the order of their first use."""
    _, seen = disturbed(place, scenario, Fault("EIO", thread, "openat", 60_000))
    in_child(lambda: _served(place, _start_again_and_reset))
    calls = dict.fromkeys(line.split("(", 1)[0] for line in seen.splitlines() if "(" in line)
    return [
        call for call in calls if call in CALLS.split(",") and not (scenario.without_renameat2 and call == "renameat2")
    ]


def one_run(place: Ground, scenario: Scenario, fault: Fault, judge: Judge, tally: Tally) -> bool:
    """Whether there was anything to hit, and all went well."""
    happened, seen = disturbed(place, scenario, fault)
    tally.runs += 1
    where = f"{scenario.name}: {fault}"
    in_child(lambda: _served(place, _recover))
    problems = judge.problems()
    seq = judge.seq()
    if in_child(lambda: _served(place, _start_again_and_reset)) != seq:
        problems.append("a second start changed something")
    problems += [f"after the reset: {problem}" for problem in judge.problems()]
    tally.problems += [f"{where}: {problem}" for problem in problems]
    if problems:
        print(where, *problems, seen[-1500:], sep="\n  ", file=sys.stderr)  # noqa: T201
    if happened:
        tally.faults[fault.what] += 1
    return happened and not problems


def main() -> int:
    parser = argparse.ArgumentParser(
        description="Hit file operations at every file-system call, and judge the recovery"
    )
    parser.add_argument("--only", help="one scenario by its name")
    parser.add_argument("--faults", default=",".join(FAULTS))
    parser.add_argument("--threads", default="disk,database")
    parser.add_argument("--batch", type=int, default=50, help="files of the batch")
    parser.add_argument("--step", type=int, default=1, help="hit every n-th call only")
    given = parser.parse_args()
    reason = missing_programs()
    if reason is not None:
        print(f"crash_operations: not run, {reason}")  # noqa: T201
        return 2
    gc.freeze()
    tally, began = Tally(), time.monotonic()
    for scenario in scenarios(given.batch):
        if given.only in (None, scenario.name):
            before = tally.runs
            with ground(max(3, scenario.files)) as place:
                try_out(place, scenario, given.faults.split(","), given.threads.split(","), given.step, tally)
            print(f"{scenario.name}: {tally.runs - before} runs", flush=True)  # noqa: T201
    hits = ", ".join(f"{fault} {count}" for fault, count in tally.faults.items())
    print(  # noqa: T201
        f"crash_operations: {tally.runs} runs, {tally.faults.total()} faults ({hits}),"
        f" {len(tally.problems)} problems, {time.monotonic() - began:.0f} s"
    )
    return 1 if tally.problems else 0


if __name__ == "__main__":
    sys.exit(main())
