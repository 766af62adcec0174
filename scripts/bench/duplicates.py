"""What finding duplicates costs a cold scan, and how soon they are told of.

The cost is processor time, which a busy machine disturbs less than the clock. The delay is that of each group's event
after the event of its second copy, both by the time of their commit.

python -m scripts.bench.duplicates [--tracks 2000] [--copies 0.1] [--runs 5]
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import statistics
import tempfile
from collections import Counter
from datetime import datetime
from pathlib import Path

import orjson

from scripts.bench.measure import cpu_seconds, descendants, percentile, show
from scripts.bench.mismo import Mismo
from tests.support import sound


def make_library(folder: Path, tracks: int, copies: int) -> None:
    """So many tracks, of which the last ones are copies of the first ones."""
    for number in range(tracks - copies):
        path = folder / f"{number // 100}" / f"{number}.mp3"
        sound.mp3(path, number, TIT2=f"Title {number}", TPE1=f"Artist {number % 50}", TALB=f"Album {number // 10}")
    (folder / "copies").mkdir()
    for number in range(copies):
        shutil.copy2(folder / f"{number // 100}" / f"{number}.mp3", folder / "copies" / f"{number}.mp3")


def family_seconds(pid: int) -> float:
    """Processor time of a process and all that descend from it and still run."""
    return sum(cpu_seconds(process) for process in (pid, *descendants(pid)))


async def delays(mismo: Mismo, groups: int) -> list[float]:
    """For each group that was detected, the seconds since its second copy was announced."""
    copies: Counter[str] = Counter()
    second: dict[str, datetime] = {}
    found: dict[str, float] = {}
    async with mismo.session.ws_connect("/ws?topics=track:added,duplicate:detected&since=0", max_msg_size=0) as socket:
        while len(found) < groups:
            message = orjson.loads((await socket.receive()).data)
            for event in message.get("events", ()):
                at = datetime.fromisoformat(event["ts"])
                for track in event["data"].get("tracks", ()):
                    copies[track["audio_hash"]] += 1
                    if copies[track["audio_hash"]] == 2:
                        second[track["audio_hash"]] = at
                if group := event["data"].get("group"):
                    found.setdefault(group["audio_hash"], (at - second[group["audio_hash"]]).total_seconds())
    return list(found.values())


async def once(library: Path, groups: int, *, is_on: bool) -> tuple[float, list[float]]:
    """Processor seconds of a scan until every group is found, and the groups' delays."""
    with tempfile.TemporaryDirectory(prefix="mismo-bench-") as folder:
        setting = {"DUPLICATE_DETECTION_ENABLED": str(is_on).lower()}
        async with Mismo.started(Path(folder) / "library.db", **setting) as mismo:
            directory = await mismo.add(library)
            before = family_seconds(mismo.pid)
            await mismo.scan(directory)
            while is_on and (await mismo.call("GET", "/api/duplicates/stats"))["groups"] < groups:  # noqa: ASYNC110 # over HTTP
                await asyncio.sleep(0.2)
            seconds = family_seconds(mismo.pid) - before
            return seconds, await delays(mismo, groups) if is_on else []


async def main(tracks: int, share: float, runs: int) -> None:
    copies = int(tracks * share)
    figures: dict[bool, list[float]] = {True: [], False: []}
    late: list[float] = []
    with tempfile.TemporaryDirectory(prefix="mismo-bench-") as folder:
        library = Path(folder) / "music"
        make_library(library, tracks, copies)
        for _ in range(runs):
            for is_on in (True, False):
                seconds, found = await once(library, copies, is_on=is_on)
                figures[is_on].append(seconds)
                late += found
    on, off = statistics.median(figures[True]), statistics.median(figures[False])
    show(f"scan of {tracks} with {copies} duplicates found", f"{on:.2f} s of CPU", f"{off:.2f} s without", on / off)
    if late:
        worst = f"p50 {statistics.median(late):.2f}, p99 {percentile(late, 0.99):.2f}, worst {max(late):.2f} s"
        show("second copy's commit to duplicate:detected", worst, "≤ 1 s", None)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tracks", type=int, default=2000)
    parser.add_argument("--copies", type=float, default=0.1, help="share of the tracks")
    parser.add_argument("--runs", type=int, default=5)
    given = parser.parse_args()
    asyncio.run(main(given.tracks, given.copies, given.runs))
