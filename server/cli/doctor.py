"""`mismo doctor`: one line for each thing that can be wrong."""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import sqlite3
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from server import errors
from server.cli.lock import AlreadyRunning, only_one
from server.cli.opened import existing
from server.cli.output import is_terminal, say, say_json
from server.config import Config
from server.db.database import Database, Dialect
from server.db.migrate import applied, available
from server.libraries import availability, store
from server.libraries.model import LibraryDirectory
from server.libraries.mounts import mount_of, read_mounts
from server.watching import inotify

NAME = "doctor"
HELP = "check what Mismo needs, a line each; exit 1 on a problem"
EXAMPLE = "mismo doctor"
_FREE_BYTES = 500 * 1024 * 1024
_INOTIFY_WANTED = 65536
_TOOLS = {"pg_dump": "backups of a PostgreSQL database"}


@dataclass(frozen=True, slots=True)
class Finding:
    """`state` is ok, note (works, but could be better) or problem."""

    name: str
    state: str
    detail: str


def arguments(_: argparse.ArgumentParser) -> None:
    """None of its own."""


async def run(config: Config, _: argparse.Namespace) -> int:
    is_well = True
    async for finding in _look(config):
        is_well = is_well and finding.state != "problem"
        if is_terminal():
            say(f"{finding.state:8} {finding.name}: {finding.detail}")
        else:
            say_json({"name": finding.name, "state": finding.state, "detail": finding.detail})
    return 0 if is_well else 1


async def _look(config: Config) -> AsyncIterator[Finding]:
    try:
        async with existing(config) as database:
            state = await _database(config, database)
            yield state
            if state.state != "problem":
                is_served = _is_served(config)
                async for finding in _directories(database, is_served=is_served):
                    yield finding
    except (errors.StartupError, errors.MismoError) as error:
        # A fresh machine has no database yet, and that is no fault.
        is_new = not config.is_postgres and not config.sqlite_path.exists()
        yield Finding("database", "note" if is_new else "problem", str(error))
    if not config.is_postgres:
        yield _space("disk space for the database", config.sqlite_path.parent)
    yield _inotify()
    yield _server("analysis server", config.analysis_server_url)
    yield _server("audio engine", config.audio_server_ws_url)
    for tool, use in _TOOLS.items():
        found = shutil.which(tool)
        is_needed = tool == "pg_dump" and config.is_postgres
        yield Finding(tool, "ok" if found or not is_needed else "note", found or f"not installed; it is for {use}")


async def _database(config: Config, database: Database) -> Finding:
    try:
        ledger = await applied(database.direct)
    except Exception as error:  # a database of anything may stand there
        return Finding("database", "problem", f"{config.database_name} isn't one of Mismo's ({error})")
    known = {migration.name for migration in available(database.dialect)}
    unknown = sorted(ledger.keys() - known)
    if unknown:
        return Finding("database", "problem", f"newer than this program: it has {', '.join(unknown)}")
    damage = await _damage(database)
    if damage is not None:
        return Finding("database", "problem", f"{config.database_name} is damaged: {damage}")
    pending = len(known - ledger.keys())
    size = await database.size_bytes()
    state = "note" if pending else "ok"
    return Finding("database", state, f"{config.database_name}, {size} bytes, {pending} migrations to apply")


async def _damage(database: Database) -> str | None:
    """What SQLite's own check finds first; PostgreSQL watches over its pages itself."""
    if database.dialect is not Dialect.SQLITE:
        return None
    try:
        said: str = await database.fetch_value("PRAGMA quick_check(1)")
    except sqlite3.DatabaseError as error:
        return str(error)
    return None if said == "ok" else said


def _is_served(config: Config) -> bool | None:
    """Whether a server works on the database; None when that can't be told."""
    if config.is_postgres:
        return None
    try:
        with only_one(config):
            return False
    except AlreadyRunning:
        return True


async def _directories(database: Database, *, is_served: bool | None) -> AsyncIterator[Finding]:
    mounts = read_mounts()
    for directory in await store.all_directories(database.direct):
        seen = availability.probe(directory.path, directory.fingerprint)
        mount = mount_of(directory.path, mounts)
        where = f"{directory.readable_path} on {mount.type if mount else 'an unknown file system'}"
        if seen.is_available:
            yield Finding("directory", "ok", where)
            yield _space("disk space", Path(os.fsdecode(directory.path)))
        else:
            state = "note" if directory.is_removable else "problem"
            yield Finding("directory", state, f"{where}: {seen.reason}")
        yield _watching(directory, is_served=is_served)


def _watching(directory: LibraryDirectory, *, is_served: bool | None) -> Finding:
    """How the server follows a directory, as it has noted: what a killed one has noted says nothing."""
    path = directory.readable_path
    if not directory.watch or not directory.is_active:
        return Finding("watching", "ok", f"{path}: off, as set")
    if is_served is False:
        return Finding("watching", "ok", f"{path}: off, no server is running")
    detail = f" ({directory.watch_detail})" if directory.watch_detail else ""
    state = "ok" if directory.watch_state == "watching" else "note"
    return Finding("watching", state, f"{path}: {directory.watch_state}{detail}")


def _space(name: str, path: Path) -> Finding:
    while not path.exists() and path != path.parent:
        path = path.parent
    free = shutil.disk_usage(path).free
    return Finding(name, "ok" if free > _FREE_BYTES else "problem", f"{free // 1024**2} MiB free at {path}")


def _inotify() -> Finding:
    usage = inotify.usage()
    if usage is None:
        return Finding("inotify", "note", "not available here; directories are polled instead")
    state = "note" if usage.is_scarce or usage.max_watches < _INOTIFY_WANTED else "ok"
    watches = f"{usage.watches} of {usage.max_watches} watches (fs.inotify.max_user_watches)"
    return Finding(
        "inotify",
        state,
        f"{watches}, {usage.instances} of {usage.max_instances} instances (fs.inotify.max_user_instances) are in use",
    )


def _server(name: str, url: str) -> Finding:
    if not url:
        return Finding(name, "note", "not configured")
    parts = urlsplit(url)
    try:
        with socket.create_connection((parts.hostname or "", parts.port or 80), timeout=1):
            return Finding(name, "ok", f"answers at {url}")
    except OSError as error:
        return Finding(name, "note", f"{url} doesn't answer: {error.strerror or error}")
