"""The floor of the scan benchmarks: the least a program can do for the same answer, in one file and without care.

Cold: walk, then two processes that read tags (mutagen) and hash the content, then batched inserts with a full-text
table.
Unchanged: scandir and stat of every file, compared with what a database says.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import os
import sqlite3
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mutagen
import xxhash

EXTENSIONS = {".mp3", ".flac", ".m4a", ".wav", ".aiff", ".ogg", ".opus"}
COLUMNS = 30
PROCESSES = 2


def walk(root: str) -> Iterator[tuple[str, os.stat_result]]:
    pending = [root]
    while pending:
        with os.scandir(pending.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    pending.append(entry.path)
                elif os.path.splitext(entry.name)[1].lower() in EXTENSIONS:
                    yield entry.path, entry.stat(follow_symlinks=False)


def read(paths: list[str]) -> list[tuple[Any, ...]]:
    rows = []
    for path in paths:
        tags: Any = None
        with contextlib.suppress(Exception):  # a floor takes no care of broken files
            tags = mutagen.File(path, easy=True)
        digest = xxhash.xxh3_128()
        with open(path, "rb", buffering=0) as file:
            buffer = bytearray(256 * 1024)
            view = memoryview(buffer)
            while count := file.readinto(buffer):
                digest.update(view[:count])
        text = [str((tags.get(name) or [""])[0]) if tags else "" for name in ("title", "artist", "album", "genre")]
        rows.append((path, digest.hexdigest(), *text, *([1] * (COLUMNS - 6))))
    return rows


def cold(root: str, database: Path) -> tuple[int, float]:
    """Files, and the seconds it took."""
    started = time.perf_counter()
    connection = sqlite3.connect(database, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    columns = ", ".join(f"c{number}" for number in range(COLUMNS))
    connection.execute(f"CREATE TABLE tracks (pk INTEGER PRIMARY KEY, {columns})")
    for number in range(6):
        connection.execute(f"CREATE INDEX i{number} ON tracks (c{number})")
    connection.execute("CREATE VIRTUAL TABLE words USING fts5 (c2, c3, c4, c5, content = '', prefix = '2 3')")
    paths = [path for path, _ in walk(root)]
    chunks = [paths[start : start + 64] for start in range(0, len(paths), 64)]
    marks = ", ".join("?" * COLUMNS)
    with concurrent.futures.ProcessPoolExecutor(PROCESSES) as pool:
        waiting: list[tuple[Any, ...]] = []
        for rows in pool.map(read, chunks):
            waiting += rows
            if len(waiting) >= 1000:
                _insert(connection, columns, marks, waiting)
                waiting = []
        _insert(connection, columns, marks, waiting)
    connection.close()
    return len(paths), time.perf_counter() - started


def _insert(connection: sqlite3.Connection, columns: str, marks: str, rows: list[tuple[Any, ...]]) -> None:
    connection.execute("BEGIN")
    first = connection.execute("SELECT coalesce(max(pk), 0) FROM tracks").fetchone()[0]
    connection.executemany(f"INSERT INTO tracks ({columns}) VALUES ({marks})", rows)
    connection.execute(
        "INSERT INTO words (rowid, c2, c3, c4, c5) SELECT pk, c2, c3, c4, c5 FROM tracks WHERE pk > ?", (first,)
    )
    connection.execute("COMMIT")


def unchanged(root: str, database: Path) -> tuple[int, float]:
    """The same for a rescan: compare every file with a table of path, size and time."""
    facts = sqlite3.connect(database)
    facts.execute("CREATE TABLE IF NOT EXISTS facts (path TEXT PRIMARY KEY, size INTEGER, mtime INTEGER)")
    if not facts.execute("SELECT 1 FROM facts").fetchone():
        rows = [(path, status.st_size, status.st_mtime_ns) for path, status in walk(root)]
        facts.executemany("INSERT INTO facts VALUES (?, ?, ?)", rows)
        facts.commit()
    started = time.perf_counter()
    known = {path: (size, mtime) for path, size, mtime in facts.execute("SELECT path, size, mtime FROM facts")}
    count = 0
    for path, status in walk(root):
        count += 1
        if known.get(path) != (status.st_size, status.st_mtime_ns):
            sys.exit(f"{path} has changed under the benchmark")
    seconds = time.perf_counter() - started
    facts.close()
    return count, seconds
