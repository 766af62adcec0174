"""From a file's last write to its event on a websocket, one by one and for thousands copied in at once.

python -m scripts.bench.watching [--files 5000] [--singles 40]

What is held against: the time a file must be at rest before it is taken in (`settle_seconds`). The copy goes into new
nested folders, which the operating system tells of only in part; each file must become a track exactly once.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import statistics
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import aiohttp
import orjson

from scripts.bench.measure import cpu_seconds, percentile, show
from scripts.bench.mismo import Mismo
from tests.support import sound

PATIENCE_SECONDS = 120


class Listener:
    """Hears of tracks, and notes when."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse):
        self._socket = socket

    async def heard(self) -> list[tuple[str, str]]:
        """Event and track id of each track that the next message tells of."""
        message: dict[str, Any] = orjson.loads((await self._socket.receive(PATIENCE_SECONDS)).data)
        found = [(event["event"], event["data"]) for event in message.get("events", ())]
        return [(name, track_id) for name, data in found for track_id in data["ids"]]

    async def next_after(self, began: float) -> float:
        """Seconds until tracks are told of."""
        while not await self.heard():
            pass
        return time.time() - began


async def one_by_one(listener: Listener, music: Path, times: int) -> dict[str, list[float]]:
    """Seconds from the last write to the event, for files that are new, retagged, moved and deleted."""
    seconds: dict[str, list[float]] = {"new": [], "retagged": [], "moved": [], "deleted": []}
    for number in range(times):
        file = sound.mp3(music / f"single {number}.mp3", f"single {number}", frames=40, TIT2="One")
        seconds["new"].append(await listener.next_after(time.time()))
        sound.retag(file, TIT2="Two")
        seconds["retagged"].append(await listener.next_after(time.time()))
        file = file.rename(music / "other" / file.name)
        seconds["moved"].append(await listener.next_after(time.time()))
        file.unlink()
        seconds["deleted"].append(await listener.next_after(time.time()))
    return seconds


async def at_once(mismo: Mismo, listener: Listener, source: Path, target: Path, files: int) -> tuple[float, float]:
    """Seconds that a copy took, and from its last write to the last event; raises when not each came exactly once."""
    began = time.time()
    copying = asyncio.create_task(asyncio.to_thread(shutil.copytree, source, target))
    heard: Counter[tuple[str, str]] = Counter()
    while len(heard) < files:
        heard.update(await listener.heard())
    last = time.time()
    await copying
    written = await asyncio.to_thread(last_write, target)
    await rest(mismo)
    # A further file is heard of last, so nothing is on its way any more.
    sound.mp3(target.parent / "last.mp3", "last")
    while len(heard) == files:
        heard.update(await listener.heard())
    wrong = {key: count for key, count in heard.items() if count > 1 or key[0] != "track:added"}
    if wrong:
        raise SystemExit(f"not each file came once: {list(wrong.items())[:5]}")
    return written - began, last - written


def last_write(folder: Path) -> float:
    """When the last file in a folder was last changed, in seconds since the epoch."""
    return max(path.stat().st_ctime for path in folder.rglob("*.mp3"))


async def rest(mismo: Mismo) -> None:
    """Until nothing waits to be scanned, and nothing is."""
    while True:
        watched = (await mismo.call("GET", "/api/watcher/status"))["directories"]
        is_pending = not watched or any(directory["pending"] for directory in watched)
        if not is_pending and not await mismo.call("GET", "/api/scan/active"):
            return
        await asyncio.sleep(0.1)


async def main(files: int, singles: int) -> None:
    with tempfile.TemporaryDirectory(prefix="mismo-bench-") as folder:
        source, music = Path(folder) / "source", Path(folder) / "music"
        for number in range(files):
            place = source / f"artist {number % 61}" / f"album {number % 7}" / f"cd {number % 3}"
            sound.mp3(place / f"{number}.mp3", number, frames=20, TIT2=f"Title {number}")
        (music / "other").mkdir(parents=True)
        async with Mismo.started(Path(folder) / "library.db") as mismo:
            settings = await mismo.call("GET", "/api/settings")
            settle = next(float(item["value"]) for item in settings if item["key"] == "settle_seconds")
            directory = await mismo.call("POST", "/api/library/directories", {"path": str(music)})
            await mismo.scan(directory["id"])
            await rest(mismo)
            async with mismo.session.ws_connect("/ws?topics=track:*&detail=ids", max_msg_size=0) as socket:
                listener = Listener(socket)
                for kind, seconds in (await one_by_one(listener, music, singles)).items():
                    for name, value in (("p50", statistics.median(seconds)), ("p95", percentile(seconds, 0.95))):
                        show(
                            f"{kind} file, last write to event, {name}",
                            f"{value:.2f} s",
                            f"{settle} s at rest",
                            value / settle,
                        )
                before = cpu_seconds(mismo.pid)
                copied, after = await at_once(mismo, listener, source, music / "copied", files)
                show(
                    f"{files} files copied at once",
                    f"last event {after:.2f} s after",
                    f"copied in {copied:.2f} s",
                    None,
                )
                show("processor time of the server meanwhile", f"{cpu_seconds(mismo.pid) - before:.2f} s", "", None)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=5000)
    parser.add_argument("--singles", type=int, default=40)
    given = parser.parse_args()
    asyncio.run(main(given.files, given.singles))
