"""What a scan costs everybody else: REST p99 and event lag while a cold scan runs, against the same server at rest.

python -m scripts.bench.under_scan LIBRARY [--seconds 8]
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import aiohttp
import orjson

from scripts.bench.measure import percentile, show
from scripts.bench.mismo import Mismo

# A frontend that is being used: so many requests a second, and so many changes whose events come back.
REQUESTS_PER_SECOND = 50
CHANGES_PER_SECOND = 10
PATHS = (
    "/api/tracks?limit=50&sort=-bpm",
    "/api/tracks?limit=50&sort=title",
    "/api/tracks/search?q=dark",
    "/api/scan/active",
)


@dataclass(slots=True)
class Sample:
    """Milliseconds of each request, of each change, and from each change's commit to its event on the websocket."""

    requests: list[float] = field(default_factory=list)
    changes: list[float] = field(default_factory=list)
    lags: list[float] = field(default_factory=list)


async def sample(mismo: Mismo, until: asyncio.Event) -> Sample:
    """Behave like a frontend until the event is set."""
    found = Sample()
    async with mismo.session.ws_connect("/ws?topics=setting:*", max_msg_size=0) as socket, asyncio.TaskGroup() as group:
        for _ in range(2):
            await socket.receive()
        listening = group.create_task(_listen(socket, found))
        asking = [group.create_task(_ask(mismo, until, found)), group.create_task(_change(mismo, until, found))]
        await asyncio.wait(asking)
        # The last change tells the listener that it has heard everything.
        await mismo.call("PUT", "/api/settings/frontend", {"value": "over"})
        await asyncio.wait_for(listening, 10)
    return found


async def _ask(mismo: Mismo, until: asyncio.Event, found: Sample) -> None:
    number = 0
    while not until.is_set():
        started = time.perf_counter()
        async with mismo.session.get(PATHS[number % len(PATHS)]) as answer:
            await answer.read()
        found.requests.append((time.perf_counter() - started) * 1000)
        number += 1
        await asyncio.sleep(max(0, 1 / REQUESTS_PER_SECOND - (time.perf_counter() - started)))


async def _change(mismo: Mismo, until: asyncio.Event, found: Sample) -> None:
    number = 0
    while not until.is_set():
        number += 1
        started = time.perf_counter()
        await mismo.call("PUT", "/api/settings/frontend", {"value": number})
        found.changes.append((time.perf_counter() - started) * 1000)
        await asyncio.sleep(1 / CHANGES_PER_SECOND)


async def _listen(socket: aiohttp.ClientWebSocketResponse, found: Sample) -> None:
    async for message in socket:
        arrived = time.time()
        for event in orjson.loads(message.data).get("events", []):
            if event["data"]["value"] == "over":
                return
            found.lags.append((arrived - datetime.fromisoformat(event["ts"]).timestamp()) * 1000)


async def main(library: Path, seconds: float) -> None:
    with tempfile.TemporaryDirectory(prefix="mismo-bench-") as folder:
        async with Mismo.started(Path(folder) / "mismo.db") as mismo:
            directory = await mismo.add(library)
            over = asyncio.Event()
            async with asyncio.TaskGroup() as group:
                sampling = group.create_task(sample(mismo, over))
                await mismo.scan(directory)
                over.set()
            busy = sampling.result()
            over = asyncio.Event()
            async with asyncio.TaskGroup() as group:
                sampling = group.create_task(sample(mismo, over))
                await asyncio.sleep(seconds)
                over.set()
            idle = sampling.result()
    for name, during, at_rest in (
        ("REST p99 while a cold scan runs", busy.requests, idle.requests),
        ("a change's p99 while a cold scan runs", busy.changes, idle.changes),
        ("event lag p99 while a cold scan runs", busy.lags, idle.lags),
    ):
        slow, quick = percentile(during, 0.99), percentile(at_rest, 0.99)
        show(name, f"{slow:.1f} ms", f"{quick:.1f} ms idle", slow / quick)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("library", type=Path)
    parser.add_argument("--seconds", type=float, default=8)
    given = parser.parse_args()
    asyncio.run(main(given.library, given.seconds))
