"""How long a drive with many tracks takes to go and to come back, from being looked at to its event being committed.

python -m scripts.bench.drives [--tracks 100000] [--runs 5]
"""

from __future__ import annotations

import argparse
import asyncio
import sqlite3
import statistics
import tempfile
import time
from contextlib import closing
from pathlib import Path

from scripts.bench import synthetic
from scripts.bench.measure import show
from scripts.bench.mismo import Mismo


def give_to(database: Path, directory: str) -> None:
    """Let all tracks be those of one directory."""
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("UPDATE tracks SET library_directory_id = ?", (directory,))


async def main(tracks: int, runs: int) -> None:
    gone: list[float] = []
    back: list[float] = []
    with tempfile.TemporaryDirectory(prefix="mismo-bench-") as folder:
        place, away = Path(folder) / "drive", Path(folder) / "unplugged"
        place.mkdir()
        (place / "notes.txt").touch()
        database = Path(folder) / "library.db"
        await synthetic.fill(database, tracks)
        async with Mismo.started(database) as mismo:
            give_to(database, directory := await mismo.add(place))
            look = f"/api/library/directories/{directory}/check-availability"
            for _ in range(runs):
                for seconds, source, target in ((gone, place, away), (back, away, place)):
                    source.rename(target)
                    began = time.perf_counter()
                    found = await mismo.call("POST", look)
                    seconds.append(time.perf_counter() - began)
                    # When it is back, a scan begins that finds none of these tracks' files: there never were any.
                    assert (found["total_missing"] == tracks) == (target is away), found
    for name, seconds in (("go", gone), ("come back", back)):
        show(f"{tracks} tracks {name}", f"{statistics.median(seconds):.3f} s", "1 s", statistics.median(seconds))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tracks", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=5)
    given = parser.parse_args()
    asyncio.run(main(given.tracks, given.runs))
