"""`mismo doctor`: one line for each thing that can be wrong."""

from __future__ import annotations

import argparse
import os
import shutil
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from server import errors
from server.app import open_database
from server.cli.output import is_terminal, say, say_json
from server.config import Config
from server.db.database import Database
from server.db.migrate import applied, available
from server.libraries import availability, store
from server.libraries.mounts import mount_of, read_mounts

NAME = "doctor"
HELP = "check what Mismo needs, a line each; exit 1 on a problem"
EXAMPLE = "mismo doctor"
_FREE_BYTES = 500 * 1024 * 1024
_INOTIFY = Path("/proc/sys/fs/inotify/max_user_watches")
_INOTIFY_WANTED = 65536
_TOOLS = ("ffprobe", "pg_dump")


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
    database = open_database(config)
    try:
        await database.open()
    except errors.StartupError as error:
        yield Finding("database", "problem", str(error))
    else:
        try:
            async for finding in _look_into(database):
                yield finding
        finally:
            await database.close()
    if not config.is_postgres:
        yield _space("disk space for the database", config.sqlite_path.parent)
    yield _inotify()
    yield _server("analysis server", config.analysis_server_url)
    yield _server("audio engine", config.audio_server_ws_url)
    for tool in _TOOLS:
        found = shutil.which(tool)
        yield Finding(tool, "ok" if found else "note", found or "not installed; used where it is")


async def _look_into(database: Database) -> AsyncIterator[Finding]:
    try:
        ledger = await applied(database.direct)
        pending = [item.name for item in available(database.dialect) if item.name not in ledger]
    except Exception as error:  # a database of anything may stand there
        yield Finding("database", "note", f"{database.url}: empty, or not Mismo's ({error})")
        return
    size = await database.size_bytes()
    state = "note" if pending else "ok"
    yield Finding("database", state, f"{database.dialect}, {size} bytes, {len(pending)} migrations to apply")
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


def _space(name: str, path: Path) -> Finding:
    while not path.exists() and path != path.parent:
        path = path.parent
    free = shutil.disk_usage(path).free
    return Finding(name, "ok" if free > _FREE_BYTES else "problem", f"{free // 1024**2} MiB free at {path}")


def _inotify() -> Finding:
    try:
        limit = int(_INOTIFY.read_text())
    except (OSError, ValueError):
        return Finding("inotify", "note", "not available here; directories are polled instead")
    state = "ok" if limit >= _INOTIFY_WANTED else "note"
    return Finding("inotify", state, f"{limit} watches (fs.inotify.max_user_watches)")


def _server(name: str, url: str) -> Finding:
    if not url:
        return Finding(name, "note", "not configured")
    parts = urlsplit(url)
    try:
        with socket.create_connection((parts.hostname or "", parts.port or 80), timeout=1):
            return Finding(name, "ok", f"answers at {url}")
    except OSError as error:
        return Finding(name, "note", f"{url} doesn't answer: {error.strerror or error}")
