"""`kill -9` of a real server at random moments of a scan, and what must hold afterwards.

`python -m tests.scanning.killing --kills 50 --library DIR` runs a long loop; the tests run a short one (SQLite).
"""

# ruff: noqa: T201 # it blocks its own loop, draws from a seed, and prints when run by itself

from __future__ import annotations

import argparse
import asyncio
import os
import random
import signal
import sqlite3
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import orjson

from tests.support.websocket import listening

ROOT = Path(__file__).resolve().parents[2]
START = "import asyncio, sys; from tests.scanning.killing import serve; asyncio.run(serve(sys.argv[1]))"


async def serve(database_url: str) -> None:
    """The server as `mismo serve` runs it, on a free port that it prints."""
    from server import serving
    from tests.conftest import make_config

    config = make_config(database_url=database_url, port=0)
    await serving.serve(config, [], lambda _, url: print(url, flush=True))


@asynccontextmanager
async def server(database_url: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", START, database_url, cwd=ROOT, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL, env={**os.environ, "LOG_LEVEL": "error"},
    )  # fmt: skip
    assert process.stdout is not None
    line = b""
    while not line.startswith(b"http://"):
        line = await process.stdout.readline()
        assert line, "the server ended before it listened"
    try:
        yield process, line.decode().strip()
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await process.communicate()


async def call(session: aiohttp.ClientSession, method: str, path: str, body: Any = None) -> Any:
    async with session.request(method, path, json=body) as answer:
        content = await answer.json()
        assert answer.status < 400, content
        return content["data"]


async def begin(session: aiohttp.ClientSession, path: str, asked: Any) -> Any:
    """Start a scan; one that stood in the queue when its server was killed goes first."""
    async with listening(session, "", "library:directory:scan:*") as socket:
        while True:
            async with session.post(path, json=asked) as answer:
                content = await answer.json()
            if content.get("code") != "scan_active":
                assert answer.status < 400, content
                return content["data"]
            await socket.receive()


async def whole(session: aiohttp.ClientSession, path: str, asked: Any) -> Any:
    """A scan from its beginning to its end."""
    async with listening(session, "", "library:directory:scan:*") as socket:
        scan = await begin(session, path, asked)
        while (found := await call(session, "GET", f"/api/scan/{scan['id']}"))["state"] in ("queued", "running"):
            await socket.receive()
        return found


def check(database: Path) -> int:
    """The database is sound, no file has two rows, and the rows are those that the log tells of; returns their number.

    Raises AssertionError.
    """
    with sqlite3.connect(database) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        for table in ("track_words", "track_fragments"):
            connection.execute(f"INSERT INTO {table} ({table}, rank) VALUES ('integrity-check', 1)")
        twice = connection.execute(
            "SELECT path FROM tracks GROUP BY library_directory_id, path HAVING count(*) > 1"
        ).fetchall()
        assert twice == []
        rows = {row[0] for row in connection.execute("SELECT id FROM tracks")}
        told: set[str] = set()
        for name, data in connection.execute("SELECT name, data FROM events ORDER BY seq"):
            if name == "track:added":
                new = set(orjson.loads(data)["ids"])
                assert told.isdisjoint(new), "announced twice"
                told |= new
            elif name == "track:deleted":
                told -= set(orjson.loads(data)["ids"])
        assert told == rows, f"{len(rows - told)} rows were never announced, {len(told - rows)} events have no row"
    connection.close()
    return len(rows)


async def loop(library: Path, database: Path, kills: int, seed: int) -> list[int]:
    """Kill a server in the middle of scans; returns how many rows there were after each kill, and at the end."""
    chance = random.Random(seed)
    url = f"sqlite:///{database}"
    found: list[int] = []
    directory = ""
    longest = 1.0  # s that a whole scan may take, as far as is known
    for kill in range(kills + 1):
        async with server(url) as (process, address), aiohttp.ClientSession(address) as session:
            if not directory:
                made = await call(session, "POST", "/api/library/directories", {"path": str(library), "watch": False})
                directory = made["id"]
            began = asyncio.get_running_loop().time()
            scan = f"/api/scan/library/{directory}"
            asked = {"strategy": "full" if kill % 3 == 2 else "hybrid"}
            if kill < kills:
                await begin(session, scan, asked)
                # The moment is what is tried out here, nothing is waited for.
                await asyncio.sleep(chance.random() * longest)
                process.kill()
                await process.wait()
            else:
                ended = await whole(session, scan, asked)
                assert ended["state"] == "complete", ended["error"]
            longest = max(longest, asyncio.get_running_loop().time() - began)
        found.append(check(database))
    return found


def main() -> None:
    from tests.conftest import _migrated

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--library", type=Path, required=True)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mismo-kill-") as folder:
        database = Path(folder) / "library.db"
        _migrated(f"sqlite:///{database}")
        rows = asyncio.run(loop(given.library, database, given.kills, given.seed))
    files = len(set(rows))
    print(f"kill -9: {given.kills} kills, database sound after each, rows == events, {rows[-1]} rows ({files} stages)")


if __name__ == "__main__":
    main()
