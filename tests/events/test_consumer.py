"""Reactions to the log: each event once, in order, whatever dies in between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import ClassVar

import pytest

from server import errors
from server.clock import SystemClock
from server.db.database import Database
from server.db.uow import Transaction, UnitOfWork
from server.events import consumer
from server.events.bus import Bus
from server.events.consumer import Consumer
from server.events.log import EventLog
from server.events.model import Entry, Event
from server.settings.events import SettingUpdated
from tests.conftest import make_config
from tests.support.database import opened


class Notes(Consumer):
    """Writes down every event, numbered as it came."""

    name = "notes"
    has_noted: ClassVar[asyncio.Event]
    fails_at: int | None = None
    started_over = 0
    times = 0

    def concerns(self, entry: Entry) -> bool:
        return entry.data.get("key") != "nobody's"

    async def react(self, tx: Transaction[Event], entries: Sequence[Entry]) -> None:
        self.times += 1
        for entry in entries:
            place = await tx.fetch_value("SELECT count(*) FROM tokens")
            await tx.execute(
                "INSERT INTO tokens (id, name, hash, created_at) VALUES (:id, :id, :id, :place)",
                {"id": str(entry.seq), "place": place},
            )
            if entry.seq == self.fails_at:
                raise RuntimeError("the power went")
        tx.on_commit(self.has_noted.set)

    async def start_over(self, tx: Transaction[Event]) -> None:
        self.started_over += 1


async def _noted(database: Database) -> list[int]:
    rows = await database.fetch_all("SELECT id FROM tokens ORDER BY created_at")
    return [int(row["id"]) for row in rows]


async def _emit(uow: UnitOfWork[Event], count: int, key: str = "x") -> None:
    for n in range(count):
        async with uow() as tx:
            tx.emit(SettingUpdated(key=key, value=n))


@asynccontextmanager
async def _following(notes: Notes, bus: Bus) -> AsyncIterator[None]:
    """The reaction and its bus run for the time of a block."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(bus.run()), group.create_task(notes.run())]
        yield
        for task in tasks:
            task.cancel()


async def _until_noted(database: Database, count: int) -> list[int]:
    """Wait for as many notes, whichever of the reactions writes them."""
    while len(noted := await _noted(database)) < count:
        await Notes.has_noted.wait()
        Notes.has_noted.clear()
    return noted


@pytest.fixture(autouse=True)
def _nothing_noted() -> None:
    Notes.has_noted = asyncio.Event()  # each test has an event loop of its own


@pytest.fixture
def bus(database: Database, event_log: EventLog) -> Bus:
    return Bus(database, event_log, SystemClock().now_ms)


async def test_reaction_sees_every_event_once_in_order_from_before_and_after_its_start(
    database: Database, uow: UnitOfWork[Event], event_log: EventLog, bus: Bus
) -> None:
    await _emit(uow, 5)
    async with _following(Notes(uow, event_log, bus), bus):
        await _emit(uow, 20)
        assert await _until_noted(database, 25) == list(range(1, 26))


async def test_events_of_a_burst_are_reacted_to_together(
    database: Database, uow: UnitOfWork[Event], event_log: EventLog, bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer, "PACE_SECONDS", 1.0)
    notes = Notes(uow, event_log, bus)
    async with _following(notes, bus):
        await _emit(uow, 1)
        assert await _until_noted(database, 1) == [1], "the first one waits for nothing"
        await _emit(uow, 20)
        await _until_noted(database, 21)
    assert notes.times < 21


async def _stored_place(database: Database) -> int:
    place: int = await database.fetch_value("SELECT seq FROM event_consumers WHERE name = 'notes'")
    return place


async def test_events_that_concern_nobody_cost_no_transaction_and_are_let_go_in_the_end(
    database: Database, uow: UnitOfWork[Event], event_log: EventLog, bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer, "PACE_SECONDS", 0.0)
    monkeypatch.setattr(consumer, "UNSTORED", 30)
    notes = Notes(uow, event_log, bus)
    async with _following(notes, bus):
        await _emit(uow, 20, "nobody's")
        await _emit(uow, 1)
        await _until_noted(database, 1)
        assert await _stored_place(database) == 21
        await _emit(uow, 29, "nobody's")
        while notes.considered < 50:
            assert await _stored_place(database) == 21
        await _emit(uow, 1, "nobody's")
        while await _stored_place(database) < 51:
            pass  # else the log would keep its events for ever
        assert await _noted(database) == [21], "nor was it told of them"


async def test_reaction_that_dies_in_between_leaves_nothing_half_done(
    database: Database, uow: UnitOfWork[Event], event_log: EventLog, bus: Bus
) -> None:
    notes = Notes(uow, event_log, bus)
    notes.fails_at = 3
    await _emit(uow, 5)
    with pytest.raises(ExceptionGroup) as died:
        async with _following(notes, bus):
            await asyncio.Event().wait()
    assert died.group_contains(RuntimeError, match="the power went")
    assert await _noted(database) == []
    bus = Bus(database, event_log, SystemClock().now_ms)
    async with _following(Notes(uow, event_log, bus), bus):
        assert await _until_noted(database, 5) == [1, 2, 3, 4, 5]


async def test_reaction_stopped_at_any_moment_goes_on_where_it_was(
    database: Database, uow: UnitOfWork[Event], event_log: EventLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer, "BATCH", 3)
    await _emit(uow, 60)
    for pause in range(40):
        bus = Bus(database, event_log, SystemClock().now_ms)
        async with _following(Notes(uow, event_log, bus), bus):
            await asyncio.sleep(pause * 0.0005)
    noted = await _noted(database)
    bus = Bus(database, event_log, SystemClock().now_ms)
    async with _following(Notes(uow, event_log, bus), bus):
        assert await _until_noted(database, 60) == list(range(1, 61))
    assert noted == list(range(1, len(noted) + 1))


async def test_two_processes_share_a_reaction(
    database: Database, database_url: str, uow: UnitOfWork[Event], event_log: EventLog, bus: Bus
) -> None:
    """On SQLite only one process works on a file, yet the place in the log must hold there too."""
    async with opened(make_config(database_url=database_url)) as other:
        their_log = EventLog(other, SystemClock())
        await their_log.open()
        their_uow: UnitOfWork[Event] = UnitOfWork(other, their_log)
        their_bus = Bus(other, their_log, SystemClock().now_ms)
        async with (
            _following(Notes(uow, event_log, bus), bus),
            _following(Notes(their_uow, their_log, their_bus), their_bus),
        ):
            await asyncio.gather(_emit(uow, 40), _emit(their_uow, 40))
            assert await _until_noted(database, 80) == list(range(1, 81))


async def test_database_that_is_away_for_a_while_stops_no_reaction(
    database: Database, uow: UnitOfWork[Event], event_log: EventLog, bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer, "RETRY_SECONDS", 0.01)

    class Unlucky(Notes):
        tries = 0

        async def react(self, tx: Transaction[Event], entries: Sequence[Entry]) -> None:
            self.tries += 1
            if self.tries < 3:
                raise errors.DatabaseBusy
            await super().react(tx, entries)

    await _emit(uow, 3)
    async with _following(Unlucky(uow, event_log, bus), bus):
        assert await _until_noted(database, 3) == [1, 2, 3]


async def test_reaction_whose_events_were_forgotten_starts_over_once(
    database: Database, uow: UnitOfWork[Event], event_log: EventLog, bus: Bus
) -> None:
    await _emit(uow, 5)
    await event_log.forget(SystemClock().now_ms() + 1000)
    for expected in 1, 0:
        notes = Notes(uow, event_log, bus)
        async with _following(notes, bus):
            await _emit(uow, 1)
            await _until_noted(database, 2 - expected)
        assert notes.started_over == expected
    assert await _noted(database) == [6, 7]


async def test_bus_publishes_what_was_committed_before_it_ran(
    database: Database, uow: UnitOfWork[Event], event_log: EventLog, bus: Bus
) -> None:
    heard: list[int] = []

    class Ear:
        def recorded(self, entries: Sequence[Entry]) -> None:
            heard.extend(entry.seq for entry in entries)

        def transient(self, event: Event, ts: int) -> None:
            raise AssertionError("nothing transient was published")

    bus.attach(Ear())
    await _emit(uow, 3)
    async with _following(Notes(uow, event_log, bus), bus):
        await _emit(uow, 2)
        await bus.reached(5)
    assert heard == [1, 2, 3, 4, 5]
