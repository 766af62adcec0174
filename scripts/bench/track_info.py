"""How long the engine waits for `getTrackInfo`, on a large library whose tracks all have beats, while a scan runs.

    python -m scripts.bench.track_info LIBRARY [--tracks 100000] [--beats 1000] [--rate 100] [--keep FOLDER]

LIBRARY is a folder of music that is scanned, from cold, as often as the figures take. The engine is a websocket server
in this process; Mismo is another. Its floor is a client in a process of its own that answers with as many bytes and
does nothing else, asked in turn with Mismo, at rest and during the scan: what a websocket, the event loop and the
machine cost without Mismo. Also shown: Mismo's CPU time for one reply.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
import tempfile
import time
from array import array
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import orjson
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from scripts.bench import synthetic
from scripts.bench.measure import cpu_seconds, leave_alone, percentile, show
from scripts.bench.mismo import Mismo
from server.db.sqlite import SqliteDatabase

# Files that are asked for; more would only fill the disk with empty ones.
ASKED_FOR = 5_000
_AT_REST = 2_000


class Engine:
    """Asks one thing after the other, as a deck does."""

    def __init__(self) -> None:
        self.url = ""
        self._link: asyncio.Future[ServerConnection] = asyncio.get_running_loop().create_future()
        self._answers: asyncio.Queue[bytes] = asyncio.Queue()

    async def handle(self, connection: ServerConnection) -> None:
        await connection.recv()
        self._link.set_result(connection)
        with contextlib.suppress(ConnectionClosed):
            while True:
                self._answers.put_nowait(await connection.recv(decode=False))

    async def ask(self, track_id: str, number: int) -> tuple[float, int]:
        """Milliseconds to the reply, and its bytes."""
        link = await self._link
        request = orjson.dumps({"command": "getTrackInfo", "trackId": track_id, "deck": "A", "requestId": number})
        started = time.perf_counter()
        await link.send(request, text=True)
        text = await self._answers.get()
        took = (time.perf_counter() - started) * 1000
        reply = orjson.loads(text)
        if not reply["success"] or reply["requestId"] != number:
            raise RuntimeError(str(reply)[:300])
        return took, len(text)


@asynccontextmanager
async def listening() -> AsyncIterator[Engine]:
    engine = Engine()
    async with serve(engine.handle, "127.0.0.1", 0, compression=None) as server:
        engine.url = f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"
        yield engine


async def prepared(folder: Path, tracks: int, beats: int) -> list[str]:
    """A library of so many analysed tracks; returns ids of those whose files exist."""
    path, root = folder / "mismo.db", folder / "music"
    await synthetic.fill(path, tracks)
    database = SqliteDatabase(path)
    await database.open()
    try:
        async with database.write() as connection:
            await connection.execute("UPDATE track_locations SET root = :root", {"root": bytes(root)})
            await connection.execute(
                "UPDATE tracks SET is_analyzed = 1, first_beat_offset = 0.02 WHERE is_analyzed = 0"
            )
            hashes = await connection.fetch_values(
                "SELECT DISTINCT audio_hash FROM tracks WHERE audio_hash NOT IN (SELECT audio_hash FROM analysis_beats)"
            )
            await connection.execute_many(
                "INSERT INTO analysis_beats (audio_hash, beats, downbeats) VALUES (:hash, :beats, :downbeats)",
                (_beats(audio_hash, beats) for audio_hash in hashes),
            )
        rows = await database.fetch_all(
            f"SELECT id, path FROM tracks WHERE pk % :step = 0 LIMIT {ASKED_FOR}",  # a number of our own
            {"step": max(1, tracks // ASKED_FOR)},
        )
    finally:
        await database.close()
    for row in rows:
        file = root / row["path"].decode()
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    return [row["id"] for row in rows]


def _beats(audio_hash: str, count: int) -> dict[str, Any]:
    random = Random(audio_hash)
    period = 60 / random.uniform(70, 180)
    beats = array("d", (round(0.02 + number * period + random.uniform(-0.005, 0.005), 4) for number in range(count)))
    if sys.byteorder == "big":
        beats.byteswap()
    return {"hash": audio_hash, "beats": beats.tobytes(), "downbeats": beats[::4].tobytes()}


@asynccontextmanager
async def echoing(size: int) -> AsyncIterator[Engine]:
    """An engine whose peer only answers, with so many bytes."""
    async with listening() as engine:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "scripts.bench.track_info", "--echo", engine.url, str(size)
        )
        try:
            yield engine
        finally:
            process.terminate()
            await process.wait()


async def echo(url: str, size: int) -> None:
    """The peer of `echoing`."""
    async with connect(url, compression=None) as socket:
        await socket.send("{}")
        async for message in socket:
            reply = {"success": True, "requestId": orjson.loads(message)["requestId"], "content": ""}
            reply["content"] = "x" * (size - len(orjson.dumps(reply)))
            await socket.send(orjson.dumps(reply), text=True)


async def sample(
    engines: Sequence[Engine], ids: list[str], rate: float, goes_on: Callable[[int], bool]
) -> list[list[float]]:
    """Milliseconds of each reply of each of them, at so many a second at most (0: as fast as they are answered)."""
    random = Random(1)
    taken: list[list[float]] = [[] for _ in engines]
    while goes_on(len(taken[0])):
        for engine, times in zip(engines, taken, strict=True):
            started = time.perf_counter()
            times.append((await engine.ask(random.choice(ids), len(times)))[0])
            if rate:
                await asyncio.sleep(max(0.0, 1 / rate - (time.perf_counter() - started)))
    return taken


async def main(library: Path, folder: Path, tracks: int, beats: int, rate: float) -> None:
    ids = await prepared(folder, tracks, beats)
    leave_alone()
    async with listening() as engine, Mismo.started(folder / "mismo.db", AUDIO_SERVER_WS_URL=engine.url) as mismo:
        _, size = await engine.ask(ids[0], 0)
        async with echoing(size) as peer:
            used = cpu_seconds(mismo.pid)
            rest = await sample([engine, peer], ids, 0, lambda taken: taken < _AT_REST)
            used = (cpu_seconds(mismo.pid) - used) / _AT_REST * 1000
            directory = await mismo.add(library)
            over = asyncio.Event()
            async with asyncio.TaskGroup() as group:
                sampling = group.create_task(sample([engine, peer], ids, rate, lambda _: not over.is_set()))
                await mismo.scan(directory)
                over.set()
            busy = sampling.result()
        # So that a database that is kept can be used again.
        await mismo.call("DELETE", f"/api/library/directories/{directory}?delete_tracks=true")
    print(f"{tracks} tracks, {beats} beats each, {size} bytes a reply, {len(busy[0])} replies during the scan")
    for name, (taken, floor) in (("at rest", rest), ("while a cold scan runs", busy)):
        for share in (0.5, 0.99):
            mine, least = percentile(taken, share), percentile(floor, share)
            show(f"getTrackInfo p{share * 100:g} {name}", f"{mine:.2f} ms", f"{least:.2f} ms echo", mine / least)
    show("CPU of a reply", f"{used:.3f} ms", "", None)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("library", type=Path, nargs="?")
    parser.add_argument("--tracks", type=int, default=100_000)
    parser.add_argument("--beats", type=int, default=1_000)
    parser.add_argument("--rate", type=float, default=100, help="requests a second")
    parser.add_argument("--keep", type=Path, help="make the database here, and use it again")
    parser.add_argument("--echo", nargs=2, metavar=("URL", "BYTES"), help="be the peer that is the floor")
    given = parser.parse_args()
    if given.echo:
        asyncio.run(echo(given.echo[0], int(given.echo[1])))
        sys.exit()
    if given.library is None:
        parser.error("a library is wanted")
    with tempfile.TemporaryDirectory(prefix="mismo-bench-") as made:
        where = given.keep or Path(made)
        where.mkdir(parents=True, exist_ok=True)
        asyncio.run(main(given.library, where, given.tracks, given.beats, given.rate))
