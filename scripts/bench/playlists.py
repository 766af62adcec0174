"""What playlists cost: 40,000 tracks and 50 smart playlists, and one list of 10,000 entries.

    python -m scripts.bench.playlists [--tracks 40000] [--lists 50]

Everything runs in one process on a fresh SQLite database; the last line is JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from server import app as application
from server import config as configuration
from server.app import App
from server.db.migrate import migrate
from server.db.opening import open_database
from server.playlists import store
from server.playlists.transfer import Format, Paths, Transfer
from server.supervise import Supervisor
from tests.playlists.library import fill

ENTRIES = 10_000
BULK = 10_000
GENRES = ("House", "Techno", "Disco", "Trance", "Breaks", "Ambient", "Dub", "Electro")


def _tracks(count: int) -> list[dict[str, Any]]:
    rng = random.Random(1)
    return [
        {
            "title": f"Track {number}", "artist": f"Artist {number % 900}", "genre": rng.choice(GENRES),
            "bpm": round(rng.uniform(70, 180), 2), "energy": rng.random(),
            "user_rating": rng.choice([None, 1, 2, 3, 4]),
            "musical_key": rng.randrange(12), "mode": rng.randrange(2), "duration_seconds": rng.uniform(120, 500),
            "play_count": rng.randrange(30),
        }
        for number in range(count)
    ]  # fmt: skip


def _criteria(number: int) -> dict[str, Any]:
    """Ten lists each over tempo, key, energy, genre and rating."""
    step = number // 5
    condition = (
        {"field": "bpm", "op": "between", "value": [90 + step * 5, 96 + step * 5]},
        {"field": "key", "op": "key_compatible", "value": f"{step + 1}A"},
        {"field": "energy", "op": "gte", "value": 0.8 + step / 100},
        {"field": "genre", "op": "in", "value": [GENRES[step % len(GENRES)]]},
        {"field": "rating", "op": "gte", "value": 1 + step % 4},
    )[number % 5]
    return {"all": [condition, {"field": "play_count", "op": "lt", "value": 15}], "sort": ["-bpm"]}


async def timed(act: Callable[[], Awaitable[object]], times: int = 1) -> dict[str, float]:
    """The median of the wall clock and of this process's CPU time, in milliseconds."""
    walls, cpus = [], []
    for _ in range(times):
        wall, cpu = time.perf_counter(), time.process_time()
        await act()
        walls.append((time.perf_counter() - wall) * 1000)
        cpus.append((time.process_time() - cpu) * 1000)
    return {"ms": round(median(walls), 2), "cpu_ms": round(median(cpus), 2)}


@dataclass
class Looked:
    """How often lists were looked at, for a few tracks (`narrow`) or whole."""

    narrow: list[str] = field(default_factory=list)
    whole: list[str] = field(default_factory=list)

    def watch(self, app: App) -> None:
        look, evaluate = app.playlists.looks.at, app.playlists.smart.wanted

        async def narrow(connection: Any, playlist: Any, *args: Any, **kwargs: Any) -> Any:
            self.narrow.append(playlist.id)
            return await look(connection, playlist, *args, **kwargs)

        async def whole(connection: Any, playlist: Any) -> Any:
            self.whole.append(playlist.id)
            return await evaluate(connection, playlist)

        app.playlists.looks.at = narrow  # type: ignore[method-assign] # counts what it passes on
        app.playlists.smart.wanted = whole  # type: ignore[method-assign] # counts what it passes on

    def described(self) -> dict[str, int]:
        found = {
            "lists": len({*self.narrow, *self.whole}), "whole": len(self.whole), "whole_lists": len(set(self.whole)),
        }  # fmt: skip
        self.narrow.clear()
        self.whole.clear()
        return found


async def _refreshed(app: App, after: int) -> dict[str, float]:
    """Seconds until the refreshes that follow an event have ended, how many lists announced one, and CPU spent."""
    started, cpu = time.perf_counter(), time.process_time()
    last, count, seen = 0.0, 0, after
    while True:
        for event in await app.log.read(seen):
            seen = event.seq
            if event.name == "playlist:smart:refreshed":
                last, count = time.perf_counter() - started, count + 1
        row = await app.database.fetch_one(
            "SELECT (SELECT seq FROM event_consumers WHERE name = 'smart playlists') AS seq,"
            " (SELECT count(*) FROM playlist_refreshes) AS waiting"
        )
        # A consumer that has begun just now has no place yet.
        if row is not None and (row["seq"] or 0) >= seen and not row["waiting"]:
            spent = time.process_time() - cpu
            return {"announced": count, "seconds": round(last, 2), "cpu_seconds": round(spent, 2)}
        await asyncio.sleep(0.05)


async def _smart(app: App, ids: list[str], lists: int) -> dict[str, Any]:
    made = [
        await app.playlists.create({"type": "smart", "name": f"Smart {n}", "criteria": _criteria(n)})
        for n in range(lists)
    ]
    await _refreshed(app, app.log.seq)
    looked = Looked()
    looked.watch(app)
    seq = app.log.seq
    await app.tracks.edit(ids[17], {"rating": 5})
    one = {**await _refreshed(app, seq), **looked.described()}
    seq = app.log.seq
    edit = await timed(lambda: app.tracks.edit_many(ids[:BULK], None, {"rating": 2}))
    bulk = {"edit": edit, **await _refreshed(app, seq), **looked.described()}
    largest = max(made, key=lambda item: item.track_count)
    tracks = [track for _, _, track, _ in await store.members(app.database.direct, largest.id)]
    by_hand = await app.playlists.create({"type": "static", "name": "By hand"}, tracks)
    return {
        "edit_one": one,
        "edit_bulk": bulk,
        "read_entries": len(tracks),
        "read_smart": await timed(lambda: app.playlists.contents.whole(largest.id), 5),
        "read_static": await timed(lambda: app.playlists.contents.whole(by_hand.id), 5),
    }


async def _long(app: App, ids: list[str]) -> dict[str, Any]:
    playlist = await app.playlists.create({"type": "static", "name": "Long"}, ids[:ENTRIES])
    rng = random.Random(2)
    order = [entry_id for entry_id, _ in await store.ranks(app.database.direct, playlist.id)]

    async def move() -> None:
        await app.playlists.contents.move(playlist.id, rng.choice(order), rng.randrange(len(order)))

    async def squeeze() -> None:
        await app.playlists.contents.move(playlist.id, order[-1 - rng.randrange(900)], 5000)

    transfer = Transfer(app.database, app.uow, app.tracks, app.playlists, _clock())
    return {
        "entries": len(order),
        "move": await timed(move, 100),
        "move_to_one_place": await timed(squeeze, 200),
        "export_m3u8": await timed(lambda: transfer.export(playlist.id, Format.M3U8, Paths.ABSOLUTE), 3),
    }


def _clock() -> Any:
    from server.clock import SystemClock

    return SystemClock()


async def measure(tracks: int, lists: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        config = configuration.load(
            None, database_url=f"sqlite:///{Path(folder) / 'library.db'}", audio_server_ws_url=""
        )
        database = open_database(config)
        await database.open()
        await migrate(database)
        app = await application.build(config, database)
        wanted = ("duties", "event bus", "playlist entries", "smart playlists", "smart refresher")
        ending = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            services = [service for service in app.services if service.name in wanted]
            group.create_task(Supervisor(services).run(ending))
            ids = await fill(app, _tracks(tracks))
            figures = {"long": await _long(app, ids), "smart": await _smart(app, ids, lists)}
            ending.set()
        await application.close(app)
        return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tracks", type=int, default=40_000)
    parser.add_argument("--lists", type=int, default=50)
    given = parser.parse_args()
    print(json.dumps(asyncio.run(measure(given.tracks, given.lists))))


if __name__ == "__main__":
    main()
