"""The event log: numbered in the order of commits, read without a gap, forgotten in one place."""

from __future__ import annotations

import asyncio
import random
import shutil
import subprocess
from pathlib import Path

import pytest

from server.db.database import Database
from server.db.uow import UnitOfWork
from server.events import changes
from server.events.log import DAY_MS, UNREAD_DAYS, EventLog
from server.events.model import Event
from server.scanning.events import ScanProgress
from server.settings.events import SettingUpdated
from server.tracks.events import TrackAdded, TrackDeleted, TrackUpdated
from tests.conftest import IS_POSTGRES, make_config
from tests.support import postgres
from tests.support.database import opened


class MovableClock:
    def __init__(self) -> None:
        self.now = 1_800_000_000_000

    def now_ms(self) -> int:
        return self.now


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture
async def event_log(database: Database, clock: MovableClock) -> EventLog:
    log = EventLog(database, clock)
    await log.open()
    return log


async def test_numbers_are_given_in_the_order_of_commits_among_many_writers(
    database: Database, uow: UnitOfWork[Event], event_log: EventLog
) -> None:
    """Whoever reads `seq > last` while 16 write sees every event once: none may appear below what was read already."""
    chance = random.Random(1)
    writers, each = 16, 25

    async def write(name: str) -> None:
        for n in range(each):
            async with uow() as tx:
                await tx.execute(
                    "INSERT INTO settings (key, value, updated_at) VALUES (:key, '', 0)", {"key": f"{name}/{n}"}
                )
                tx.emit(SettingUpdated(key=f"{name}/{n}", value=n))
                await asyncio.sleep(chance.random() * 0.002)

    read: list[tuple[int, str]] = []

    async def follow() -> None:
        last = 0
        while len(read) < writers * each:
            entries = await event_log.read(last)
            read.extend((entry.seq, entry.data["key"]) for entry in entries)
            last = entries[-1].seq if entries else last
            await asyncio.sleep(0)

    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        group.create_task(follow())
        for writer in range(writers):
            group.create_task(write(str(writer)))
    assert [seq for seq, _ in read] == list(range(1, writers * each + 1))
    assert len({key for _, key in read}) == writers * each
    for writer in range(writers):
        own = [key for _, key in read if key.startswith(f"{writer}/")]
        assert own == [f"{writer}/{n}" for n in range(each)]


async def test_each_resource_takes_a_number_of_its_own(
    database: Database, uow: UnitOfWork[Event], event_log: EventLog
) -> None:
    async with uow() as tx:
        tx.emit(TrackAdded(ids=("a", "b", "c")), SettingUpdated(key="x", value=1), TrackUpdated(ids=("a",)))
    assert [(entry.seq, entry.name) for entry in await event_log.read(0)] == [
        (3, "track:added"), (4, "setting:updated"), (5, "track:updated"),
    ]  # fmt: skip
    latest = await changes.since(database.direct, "track", 0, 10)
    assert [(change.id, change.first_seq, change.seq) for change in latest] == [("b", 2, 2), ("c", 3, 3), ("a", 1, 5)]


async def test_resource_that_comes_back_after_its_deletion_is_new(
    database: Database, uow: UnitOfWork[Event], event_log: EventLog
) -> None:
    for event in TrackAdded(ids=("a",)), TrackDeleted(ids=("a",)), TrackAdded(ids=("a",)), TrackUpdated(ids=("a",)):
        async with uow() as tx:
            tx.emit(event)
    (change,) = await changes.since(database.direct, "track", 0, 10)
    assert (change.first_seq, change.seq, change.is_deleted) == (3, 4, False)


async def test_transient_event_cannot_be_recorded(uow: UnitOfWork[Event], event_log: EventLog) -> None:
    progress = ScanProgress(
        scan_id="s", library_directory_id="d", phase="walk", found=1, done=0, total=None, rate=0.0, eta=None, current=""
    )
    with pytest.raises(TypeError, match="publish it on the bus"):
        async with uow() as tx:
            tx.emit(progress)
    assert await event_log.read(0) == []


async def test_old_events_and_their_tombstones_are_forgotten_together(
    database: Database, uow: UnitOfWork[Event], event_log: EventLog, clock: MovableClock
) -> None:
    for event in TrackAdded(ids=("a", "b")), TrackDeleted(ids=("a",)):
        async with uow() as tx:
            tx.emit(event)
    clock.now += DAY_MS
    async with uow() as tx:
        tx.emit(TrackDeleted(ids=("b",)))
    assert await event_log.forget(clock.now - DAY_MS) == 0, "exactly that old isn't older"
    assert event_log.head.oldest_seq == 1
    assert await event_log.forget(clock.now) == 2
    assert (event_log.head.oldest_seq, event_log.head.seq) == (4, 4)
    assert [entry.seq for entry in await event_log.read(0)] == [4]
    left = await changes.since(database.direct, "track", 0, 10)
    assert [(change.id, change.is_deleted) for change in left] == [("b", True)]
    assert await event_log.forget(clock.now + 1) == 1
    assert event_log.head.oldest_seq == 5
    async with uow() as tx:
        tx.emit(SettingUpdated(key="x", value=1))
    assert event_log.seq == 5, "numbers go on after all is forgotten"


async def test_events_that_a_reaction_has_not_read_are_kept_longer(
    database: Database, uow: UnitOfWork[Event], event_log: EventLog, clock: MovableClock
) -> None:
    for n in range(4):
        async with uow() as tx:
            tx.emit(SettingUpdated(key="x", value=n))
    async with database.write() as connection:
        await connection.execute("INSERT INTO event_consumers (name, seq) VALUES ('slow', 2)")
    assert await event_log.forget(clock.now + 1) == 2
    assert event_log.head.oldest_seq == 3
    assert await event_log.forget(clock.now + 1 + UNREAD_DAYS * DAY_MS) == 2
    assert event_log.head.oldest_seq == 5


async def test_head_is_shared_with_other_processes(
    database: Database, database_url: str, uow: UnitOfWork[Event], event_log: EventLog, clock: MovableClock
) -> None:
    async with opened(make_config(database_url=database_url)) as other:
        theirs = EventLog(other, clock)
        await theirs.open()
        assert theirs.head == event_log.head
        async with uow() as tx:
            tx.emit(SettingUpdated(key="x", value=1))
        await event_log.forget(clock.now + 1)
        assert theirs.seq == 0
        await theirs.refresh()
        assert theirs.head == event_log.head
        assert (theirs.head.seq, theirs.head.oldest_seq) == (1, 2)


async def test_epoch_stays_over_a_restart(database: Database, event_log: EventLog, clock: MovableClock) -> None:
    again = EventLog(database, clock)
    await again.open()
    assert again.head.epoch == event_log.head.epoch != ""


async def test_database_made_from_a_backup_has_an_epoch_of_its_own_and_goes_on_counting(
    database: Database, empty_url: str, tmp_path: Path, uow: UnitOfWork[Event], event_log: EventLog, clock: MovableClock
) -> None:
    async with uow() as tx:
        tx.emit(TrackAdded(ids=("a", "b", "c")))
    backup = tmp_path / "backup"
    await database.backup(str(backup))
    await _restore(backup, empty_url)
    async with opened(make_config(database_url=empty_url)) as restored:
        log = EventLog(restored, clock)
        await log.open()
        assert log.head.epoch not in ("", event_log.head.epoch)
        assert log.seq == 3
        assert [entry.seq for entry in await log.read(0)] == [3]
        async with UnitOfWork[Event](restored, log)() as tx:
            tx.emit(SettingUpdated(key="x", value=1))
        assert log.seq == 4
    await event_log.refresh()
    assert event_log.seq == 3, "the database that was copied is as it was"


async def _restore(backup: Path, url: str) -> None:
    if not IS_POSTGRES:
        path = Path(url.removeprefix("sqlite:///"))
        path.parent.mkdir()
        await asyncio.to_thread(shutil.copy, backup, path)
        return
    programs = postgres.find_programs()
    assert programs is not None
    restore = await asyncio.create_subprocess_exec(
        programs / "pg_restore", f"--dbname={url}", "--no-owner", str(backup), stdout=subprocess.DEVNULL
    )
    assert await restore.wait() == 0
