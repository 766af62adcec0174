"""A rescan after half of a library was moved, beside the unchanged rescan of the same run; and what the server read.

python -m scripts.bench.moved LIBRARY [--runs 3]

The library stays as it is: what is moved is a copy of it made of hard links, beside it.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import tempfile
from pathlib import Path

from scripts.bench.measure import bytes_read, show
from scripts.bench.mismo import Mismo


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
    ratio = statistics.median(moved) / statistics.median(unchanged)
    name = f"rescan of {tracks} after moving {statistics.median(counts):.0f}"
    show(name, f"{statistics.median(moved):.2f} s", f"{statistics.median(unchanged):.2f} s unchanged", ratio)
    show("read by the workers meanwhile", f"{statistics.median(read) / 1024:.0f} KiB", "0 KiB", None)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("library", type=Path)
    parser.add_argument("--runs", type=int, default=3)
    given = parser.parse_args()
    asyncio.run(main(given.library.absolute(), given.runs))
