"""A PostgreSQL that is lost under a running server, and comes back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from server.clock import SystemClock
from server.db.database import Database
from server.db.migrate import migrate
from server.db.opening import open_database
from server.db.uow import UnitOfWork
from server.events.log import EventLog
from server.events.model import Event
from server.settings.service import SettingsService
from tests.conftest import IS_POSTGRES, make_config
from tests.support import postgres, sound
from tests.support.application import Running, running
from tests.support.database import opened
from tests.support.gate import Gate

pytestmark = pytest.mark.skipif(not IS_POSTGRES, reason="not for SQLite: about a database server")
PATIENCE_SECONDS = 60
_CUT_ALL = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


@pytest.fixture
async def another(mismo: Running) -> AsyncIterator[Database]:
    """The same database, as another process has it."""
    async with opened(mismo.app.config) as database:
        yield database


async def other_process_says(database: Database, name: str) -> None:
    """Change a setting as another process would: what tells the server is the database alone."""
    log = EventLog(database, SystemClock())
    uow: UnitOfWork[Event] = UnitOfWork(database, log)
    await SettingsService(database, uow, log, SystemClock()).put("server_name", name)


async def ready(server: Running) -> None:
    """Wait until the server can work."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while (await server.client.request("GET", "/readyz")).status != 200:
            pass


async def test_nothing_is_lost_when_all_connections_are_cut_again_and_again(mismo: Running, another: Database) -> None:
    stored: list[str] = []
    async with mismo.socket("setting:updated") as socket:
        for number in range(60):
            if number % 6 == 0:
                await another.fetch_all(_CUT_ALL)
            answer = await mismo.client.request("PUT", "/api/settings/server_name", {"value": f"Booth {number}"})
            assert answer.status in (200, 503), answer.content
            if answer.status == 200:
                stored.append(f"Booth {number}")
        await ready(mismo)
        # The log is listened to again: a change that no part of this server makes is heard of.
        await other_process_says(another, "elsewhere")
        await socket.until(lambda event: event["data"]["value"] == "elsewhere")
        assert (await mismo.client.get("/api/settings/server_name"))["data"]["value"] == "elsewhere"
    seen = [event["data"]["value"] for event in socket.events]
    # A COMMIT whose answer was cut off may have succeeded: its event is there though its request failed.
    assert [value for value in seen if value in set(stored)] == stored
    assert len(set(seen)) == len(seen)
    assert len(stored) > 30


async def test_server_outlives_a_restart_of_postgres_and_its_scan_goes_on(music: Path) -> None:
    for number in range(20):
        sound.mp3(music / f"{number:02}.mp3", number, frames=1)
    with postgres.restartable() as database_server:
        config = make_config(database_url=database_server.url)
        database = open_database(config)
        await database.open()
        await migrate(database)
        await database.close()
        async with running(config) as server, server.socket("*") as socket:
            directory = await server.added(music)
            gate = Gate(server)
            scan = (await server.client.post(f"/api/scan/library/{directory['id']}", {}, status=202))["data"]
            await gate.reached.wait()
            await asyncio.to_thread(database_server.stop, "fast")
            gate.is_open.set()
            assert (await server.client.request("GET", "/livez")).status == 200
            down = await server.client.request("GET", "/readyz")
            assert (down.status, down.json["code"]) == (503, "not_ready")
            assert down.json["checks"]["database"]["state"] == "down"
            for method, path, body in (
                ("GET", "/api/tracks", None),
                ("GET", "/api/library/directories", None),
                ("PUT", "/api/settings/server_name", {"value": "Booth"}),
                ("POST", "/api/playlists", {"name": "List"}),
            ):
                answer = await server.client.request(method, path, body)
                assert (answer.status, answer.headers["content-type"]) == (503, "application/problem+json")
            await asyncio.to_thread(database_server.start)
            await ready(server)
            await socket.until(lambda event: event["event"] == "library:directory:scan:complete")
            ended = (await server.client.get(f"/api/scan/{scan['id']}"))["data"]
            assert (ended["state"], ended["counts"]["added"]) == ("complete", 20)
            async with opened(config) as elsewhere:
                await other_process_says(elsewhere, "elsewhere")
            await socket.until(lambda event: event["data"].get("value") == "elsewhere")
