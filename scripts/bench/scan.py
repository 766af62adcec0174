"""Cold scan and unchanged rescan of a library, each in turn with the bare floor of the same run; and the memory used.

python -m scripts.bench.scan LIBRARY [--runs 3]
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from scripts.bench import bare_scan
from scripts.bench.measure import descendants, resident_mb, show
from scripts.bench.mismo import Mismo


@dataclass(slots=True)
class Figures:
    """Seconds of each run, and megabytes of the server process and of the one that scans."""

    cold: list[float]
    bare_cold: list[float]
    rescan: list[float]
    bare_rescan: list[float]
    memory: list[float]
    scanning_memory: list[float]
    tracks: int = 0


async def once(library: Path, folder: Path, figures: Figures) -> None:
    figures.tracks, seconds = await asyncio.to_thread(bare_scan.cold, str(library), folder / "bare.db")
    figures.bare_cold.append(seconds)
    async with AsyncExitStack() as stack:
        mismo = await stack.enter_async_context(Mismo.started(folder / "mismo.db"))
        directory = await mismo.add(library)
        scan = await mismo.scan(directory)
        figures.cold.append(scan.seconds)
        for _ in range(3):
            _, bare = await asyncio.to_thread(bare_scan.unchanged, str(library), folder / "facts.db")
            figures.bare_rescan.append(bare)
            figures.rescan.append((await mismo.scan(directory)).seconds)
        figures.memory.append(resident_mb(mismo.pid))
        figures.scanning_memory += [resident_mb(pid) for pid in descendants(mismo.pid, "server.apart")]


async def main(library: Path, runs: int) -> None:
    figures = Figures([], [], [], [], [], [])
    for _ in range(runs):
        with tempfile.TemporaryDirectory(prefix="mismo-bench-") as folder:
            await once(library, Path(folder), figures)
    cold, bare_cold = statistics.median(figures.cold), statistics.median(figures.bare_cold)
    show(
        "cold hybrid scan",
        f"{figures.tracks / cold:,.0f} tracks/s",
        f"{figures.tracks / bare_cold:,.0f} tracks/s",
        cold / bare_cold,
    )
    rescan, bare = statistics.median(figures.rescan), statistics.median(figures.bare_rescan)
    show(
        "unchanged rescan",
        f"{figures.tracks / rescan:,.0f} tracks/s",
        f"{figures.tracks / bare:,.0f} tracks/s",
        rescan / bare,
    )
    show("memory of the server after it", f"{statistics.median(figures.memory):.0f} MB", "-", None)
    show("… of the scanning process", f"{statistics.median(figures.scanning_memory):.0f} MB", "-", None)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("library", type=Path)
    parser.add_argument("--runs", type=int, default=3)
    given = parser.parse_args()
    began = time.perf_counter()
    asyncio.run(main(given.library, given.runs))
    print(f"# {time.perf_counter() - began:.0f} s in all")
