"""What every test may use: a database of its own (copied from a migrated template), and a running server on it.

`MISMO_TEST_DATABASE=postgres` runs the same tests on PostgreSQL.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from server import config as configuration
from server.clock import SystemClock
from server.config import Config
from server.db.database import Database
from server.db.migrate import migrate
from server.db.opening import open_database
from server.db.uow import UnitOfWork
from server.events.log import EventLog
from server.events.model import Event
from tests.support import postgres
from tests.support.application import Running, running
from tests.support.database import opened

CORPUS = Path(__file__).resolve().parents[2] / "shared" / "corpus"
IS_POSTGRES = os.environ.get("MISMO_TEST_DATABASE", "sqlite") == "postgres"


@pytest.fixture(scope="session")
def corpus() -> Path:
    """The folder of real odd files, which isn't part of the project."""
    if not CORPUS.is_dir():
        pytest.skip("the corpus of real files isn't there (../shared/corpus)")
    return CORPUS


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a migrated, empty database that tests copy."""
    if not IS_POSTGRES:
        path = tmp_path_factory.mktemp("template") / "library.db"
        _migrated(f"sqlite:///{path}")
        yield str(path)
        return
    given = os.environ.get("MISMO_TEST_POSTGRES_URL")
    if given:
        yield _postgres_template(given)
        return
    with postgres.server() as url:
        yield _postgres_template(url)


def _postgres_template(url: str) -> str:
    asyncio.run(postgres.execute(url, "DROP DATABASE IF EXISTS template_mismo"))
    asyncio.run(postgres.create(url, "template_mismo"))
    _migrated(postgres.url_of(url, "template_mismo"))
    return url


def _migrated(url: str) -> None:
    async def build() -> None:
        database = open_database(make_config(database_url=url))
        await database.open()
        await migrate(database)
        await database.close()

    asyncio.run(build())


def make_config(**overrides: object) -> Config:
    """The defaults, whatever the environment says, but for what a test sets."""
    before = {name: os.environ.pop(name) for name in configuration.variable_names() if name in os.environ}
    try:
        return configuration.load(
            None,
            **{
                "scan_workers": 2,
                "scan_process": False,
                "analysis_server_command": "",
                "audio_server_ws_url": "",
                "auto_analyze_new_tracks": False,
                **overrides,
            },
        )
    finally:
        os.environ.update(before)


_databases = iter(range(1_000_000))


@pytest.fixture
async def database_url(template: str, tmp_path: Path) -> AsyncIterator[str]:
    """A fresh, migrated database of the test's own."""
    if not IS_POSTGRES:
        path = tmp_path / "database" / "library.db"
        path.parent.mkdir()
        await asyncio.to_thread(shutil.copy, template, path)
        yield f"sqlite:///{path}"
        return
    name = f"mismo_test_{os.getpid()}_{next(_databases)}"
    await postgres.create(template, name, "template_mismo")
    yield postgres.url_of(template, name)
    await postgres.execute(template, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def config(database_url: str) -> Config:
    return make_config(database_url=database_url)


@pytest.fixture
async def empty_url(template: str, tmp_path: Path) -> AsyncIterator[str]:
    """The URL of a database in which nothing stands yet, no table either."""
    if not IS_POSTGRES:
        yield f"sqlite:///{tmp_path}/empty/library.db"
        return
    name = f"mismo_empty_{os.getpid()}_{next(_databases)}"
    await postgres.create(template, name)
    yield postgres.url_of(template, name)
    await postgres.execute(template, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def database(config: Config) -> AsyncIterator[Database]:
    """A fresh, migrated database, open, with no server on it."""
    async with opened(config) as database:
        yield database


@pytest.fixture
async def event_log(database: Database) -> EventLog:
    log = EventLog(database, SystemClock())
    await log.open()
    return log


@pytest.fixture
def uow(database: Database, event_log: EventLog) -> UnitOfWork[Event]:
    return UnitOfWork(database, event_log)


@pytest.fixture
async def mismo(config: Config) -> AsyncIterator[Running]:
    """A running server on a fresh database."""
    async with running(config) as server:
        yield server


@pytest.fixture
def music(tmp_path: Path) -> Path:
    """An empty folder for a test's music."""
    folder = tmp_path / "music"
    folder.mkdir()
    return folder


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Remember what was skipped: where everything should be checked, a skip is a failure."""
    if report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        if not reason.removeprefix("Skipped: ").startswith("not for "):
            _skipped.append(f"{report.nodeid}: {reason}")


def pytest_sessionfinish(session: pytest.Session) -> None:
    if _skipped and os.environ.get("CI") == "true":
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _skipped and os.environ.get("CI") == "true":
        terminalreporter.section("skipped, but everything should be checked here")
        for line in _skipped:
            terminalreporter.write_line(line)


_skipped: list[str] = []
