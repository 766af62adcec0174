"""A drive that is unmounted and mounted again, also in the middle of scans: nothing of the library may change.

`scripts/remount --times 50` runs a long loop (as root, since it mounts); the tests run a short one.
"""

# ruff: noqa: T201 # it blocks its own loop, and prints when run by itself

from __future__ import annotations

import argparse
import asyncio
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from tests.support import sound
from tests.support.application import Running, running
from tests.support.tmpfs import Drive, drive

FILES = 200


async def loop(server: Running, usb: Drive, times: int) -> list[float]:
    """Unmount and mount so often, every second time while a full scan reads; returns seconds from mounting to back.

    Raises AssertionError when a row, an id or anything else of a track has changed.
    """
    for number in range(FILES):
        sound.mp3(usb.place / f"album {number % 9}" / f"{number}.mp3", number, frames=2, TIT2=f"Title {number}")
    directory = await server.added(usb.place)
    await server.scanned(directory["id"])
    before = await tracks(server)
    assert len(before) == FILES
    seconds = []
    clock = asyncio.get_running_loop().time
    for number in range(times):
        async with server.socket("library:media:*", "library:directory:scan:*", "track:*") as socket:
            if number % 2:
                await full_scan(server, directory["id"])
                await socket.named("library:directory:scan:progress")
            usb.unplug()
            await socket.named("library:media:disconnected")
            during = await tracks(server)
            assert {track["missing_reason"] for track in during} == {"media"}
            assert [track["id"] for track in during] == [track["id"] for track in before]
            usb.plug()
            began = clock()
            connected = await socket.named("library:media:connected")
            seconds.append(clock() - began)
            assert await tracks(server) == before
            # The scan that follows opens nothing: it finds each file as it was.
            caught_up = await socket.until(partial(_is_end_of_hybrid, after=connected["seq"]))
            counts = caught_up["data"]["scan"]["counts"]
            assert (counts["unchanged"], counts["found"]) == (FILES, FILES), counts
            assert not [event["event"] for event in socket.events if event["event"].startswith("track:")]
        assert await tracks(server) == before
    return seconds


async def full_scan(server: Running, directory_id: str) -> None:
    """A drive that returned while a scan of it was at work is followed by a second one, which may not have ended."""
    url = f"/api/scan/library/{directory_id}"
    while (await server.client.request("POST", url, {"strategy": "full"})).status == 409:
        await server.app.scanner.idle()


def _is_end_of_hybrid(event: dict[str, Any], after: int) -> bool:
    is_end = event["event"] == "library:directory:scan:complete" and event["seq"] > after
    return is_end and bool(event["data"]["scan"]["strategy"] == "hybrid")


async def tracks(server: Running) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = (await server.client.get("/api/tracks", sort="file_name", limit=1000))["data"]
    return listed


async def _main(folder: Path, times: int) -> list[float]:
    from tests.conftest import make_config

    with drive(folder / "usb") as usb:
        async with running(make_config(database_url=f"sqlite:///{folder}/library.db")) as server:
            return await loop(server, usb, times)


def main() -> None:
    from tests.conftest import _migrated

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=50)
    times = parser.parse_args().times
    with tempfile.TemporaryDirectory(prefix="mismo-remount-") as folder:
        _migrated(f"sqlite:///{folder}/library.db")
        seconds = sorted(asyncio.run(_main(Path(folder), times)))
    print(
        f"remounted {times} times, {times // 2} of them in the middle of a scan: 0 rows deleted, 0 ids changed, no file"
        f" opened; back after {seconds[len(seconds) // 2]:.2f} s (median), {seconds[-1]:.2f} s (longest)"
    )


if __name__ == "__main__":
    main()
