"""A rescan after half of a library was moved, beside the unchanged rescan of the same run; and what the server read.

    python -m scripts.bench.moved LIBRARY [--runs 3]

The library stays as it is: what is moved is a copy of it made of hard links, beside it. The floor is an unchanged
rescan, which finds the files, and what SQLite alone takes to write as many moves down, in the same batches: the place
in the row, the JSON, the history. (No events, no full text, nothing read or compared.)
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sqlite3
import statistics
import tempfile
import time
from contextlib import closing
from pathlib import Path

from scripts.bench.measure import bytes_read, show
from scripts.bench.mismo import Mismo
from server.scanning.run import BATCH


def copy(library: Path, target: Path) -> None:
    """The same files under the same paths, without their content being copied."""
    for folder, _, names in os.walk(library):
        here = target / Path(folder).relative_to(library)
        here.mkdir(parents=True, exist_ok=True)
        for name in names:
            os.link(os.path.join(folder, name), here / name)


def move_half(library: Path, number: int) -> int:
    """Move every second file into another folder, under its own name; returns how many."""
    files = sorted(Path(folder, name) for folder, _, names in os.walk(library) for name in names)
    chosen = files[::2]
    for place, file in enumerate(chosen):
        folder = library / f"moved {number}" / str(place // 20)
        folder.mkdir(parents=True, exist_ok=True)
        file.rename(folder / f"{place} {file.name}" if (folder / file.name).exists() else folder / file.name)
    return len(chosen)


def write_moves(database: Path) -> float:
    """Seconds that bare SQLite takes to write down that every second track was moved."""
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA cache_size = -32768")
        tracks = connection.execute(
            "SELECT pk, id, relative_path, json FROM tracks JOIN track_resources ON track_pk = pk WHERE pk % 2 = 0"
        ).fetchall()
        moves = []
        for pk, track_id, before, json in tracks:
            after = f"moved at last/{before}"
            moves.append((pk, track_id, before, after, bytes(json).replace(before.encode(), after.encode())))
        started = time.perf_counter()
        for start in range(0, len(moves), BATCH):
            batch = moves[start : start + BATCH]
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(
                "UPDATE tracks SET path = ?, relative_path = ?, missing_since = NULL, updated_at = ? WHERE pk = ?",
                [(after.encode(), after, start, pk) for pk, _, _, after, _ in batch],
            )
            connection.executemany(
                "UPDATE track_resources SET json = ? WHERE track_pk = ?", [(json, pk) for pk, *_, json in batch]
            )
            connection.executemany(
                "INSERT INTO file_history (track_id, at, event, moved_from, moved_to) VALUES (?, ?, 'moved', ?, ?)",
                [(track_id, start, before, after) for _, track_id, before, after, _ in batch],
            )
            connection.execute("COMMIT")
        return time.perf_counter() - started


async def main(library: Path, runs: int) -> None:
    unchanged: list[float] = []
    moved: list[float] = []
    read: list[int] = []
    counts: list[int] = []
    with tempfile.TemporaryDirectory(prefix=".mismo-bench-", dir=library.parent) as folder:
        music = Path(folder) / "music"
        copy(library, music)
        async with Mismo.started(Path(folder) / "library.db") as mismo:
            directory = await mismo.add(music)
            tracks = (await mismo.scan(directory)).data["counts"]["added"]
            for number in range(runs):
                unchanged += [(await mismo.scan(directory)).seconds for _ in range(2)]
                move_half(music, number)
                before = bytes_read(mismo.pid)
                scan = await mismo.scan(directory)
                read.append(bytes_read(mismo.pid) - before)
                moved.append(scan.seconds)
                counts.append(scan.data["counts"]["moved"])
                others = {name: scan.data["counts"][name] for name in ("added", "updated", "missing", "failed")}
                if any(others.values()):
                    raise SystemExit(f"not only moved: {others}")
        written = write_moves(Path(folder) / "library.db")
    least, took = statistics.median(unchanged), statistics.median(moved)
    floor = least + written
    name = f"rescan of {tracks} after moving {statistics.median(counts):.0f}"
    show(name, f"{took:.2f} s", f"{least:.2f} s unchanged", took / least)
    show("… and the moves written by SQLite alone", f"{took:.2f} s", f"{floor:.2f} s", took / floor)
    show("read by the workers meanwhile", f"{statistics.median(read) / 1024:.0f} KiB", "0 KiB", None)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("library", type=Path)
    parser.add_argument("--runs", type=int, default=3)
    given = parser.parse_args()
    asyncio.run(main(given.library.absolute(), given.runs))
