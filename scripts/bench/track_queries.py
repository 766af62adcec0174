"""Search as one types, and pages with filter and sort, over a synthetic library: in the database and over HTTP.

python -m scripts.bench.track_queries /tmp/million.db [--tracks 1000000]

The floor is hand-written SQL for the same rows, without ranking, counting or resources, in the same run.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from scripts.bench import synthetic
from scripts.bench.measure import percentile, resident_mb, show
from scripts.bench.mismo import Mismo
from server.db.database import Dialect
from server.db.sql import EVERYTHING
from server.db.sqlite import SqliteDatabase
from server.tracks.filters import compile_filters
from server.tracks.listing import parse_sort
from server.tracks.query import parse_query
from server.tracks.search import index_for
from server.tracks.store import TrackStore

QUERIES = (
    "night light", "deep house", "björk", "nakamura", "drum & bass", "jay-z", "midnight river remix", "dj bazen",
    "坂本", "エレクトロニカ", "ac/dc", "kenji tanaka acid", "silver machine original mix", "ambient dawn", "o'brien",
    "remix -dub", "artist:maya", "genre:techno night",
)  # fmt: skip
STATES = [query[:end] for query in QUERIES for end in range(1, len(query) + 1)]
FILTERS: dict[str, dict[str, Any]] = {
    "nothing": {},
    "a genre": {"genre": ["House"]},
    "a range of bpm": {"bpm_min": 120, "bpm_max": 126},
    "an artist": {"artist": ["Kenji Smith"]},
    "years": {"year_min": 2020},
    "rating": {"rating_min": 4},
}
SORTS = ("title", "artist", "-bpm", "key", "-date_added", "-rating", "year")
DEEP = 10_000
LIMIT = 50


async def timed(act: Callable[[], Awaitable[object]], rounds: int = 3) -> float:
    """The median time of an act, in milliseconds."""
    times = []
    for _ in range(rounds):
        started = time.perf_counter()
        await act()
        times.append((time.perf_counter() - started) * 1000)
    return sorted(times)[rounds // 2]


def report(name: str, times: list[float], floor: list[float] | None) -> None:
    figures = [percentile(times, 0.5), percentile(times, 0.99)]
    floors = None if floor is None else [percentile(floor, 0.5), percentile(floor, 0.99)]
    shown = "" if floors is None else f"{floors[0]:.2f} / {floors[1]:.2f} ms"
    show(name, f"{figures[0]:.2f} / {figures[1]:.2f} ms", shown, None if floors is None else figures[1] / floors[1])


async def search(database: SqliteDatabase) -> None:
    index = index_for(Dialect.SQLITE)
    times, floors = [], []
    for text in STATES:
        terms = parse_query(text)
        bare = index.word_hits(terms, EVERYTHING) if terms else None
        async with database.read() as connection:
            times.append(await timed(lambda t=terms: index.search(connection, t, EVERYTHING, LIMIT, 0)))  # type: ignore[misc] # bound per turn
            if bare is not None:
                sql = f"{bare.sql} LIMIT 500"
                floors.append(await timed(lambda s=sql, p=bare.params: connection.fetch_values(s, p)))  # type: ignore[misc] # bound per turn
    report(f"search, {len(STATES)} keystrokes, database", times, floors)


async def pages(database: SqliteDatabase) -> None:
    store = TrackStore(Dialect.SQLITE)
    first, floors, deep = [], [], []
    for name, values in FILTERS.items():
        where = compile_filters(values)
        for sort in SORTS:
            order = parse_sort([sort])
            spent = await timed(lambda w=where, o=order: store.page(database.direct, w, o, None, LIMIT + 1))  # type: ignore[misc] # bound per turn
            first.append(spent)
            (key,) = order.keys
            direction = "DESC" if key.is_descending else "ASC"
            bare = (
                f"SELECT * FROM tracks WHERE {key.column} IS NOT NULL ORDER BY {key.column} {direction} LIMIT {LIMIT}"
            )
            floors.append(await timed(lambda s=bare: database.fetch_all(s)))  # type: ignore[misc] # bound per turn
            if name == "nothing":
                row = (await store.page(database.direct, where, order, None, 1, LIMIT * DEEP))[0]
                after = [row[key.column], row["pk"]]
                again = await timed(lambda w=where, o=order, a=after: store.page(database.direct, w, o, a, LIMIT + 1))  # type: ignore[misc] # bound per turn
                deep.append(again / spent)
    report("pages of 50, filter and sort, database", first, floors)
    show(f"page {DEEP} by cursor / first page", f"median {percentile(deep, 0.5):.2f}", "1.50", None)


async def over_http(path: Path) -> None:
    async with Mismo.started(path) as mismo:

        async def get(**params: Any) -> None:
            where = "/api/tracks/search" if "q" in params else "/api/tracks"
            async with mismo.session.get(where, params=params) as answer:
                await answer.read()

        # A different limit each time, since the same URL is answered from memory.
        times = [await timed(lambda q=text: get(q=q, limit=LIMIT), 1) for text in STATES]  # type: ignore[misc] # bound per turn
        report("search, over HTTP", times, None)
        times = []
        for values in FILTERS.values():
            for sort in SORTS:
                # The first page is counted too; that is done once.
                await get(**values, sort=sort, limit=LIMIT - 1)
                times.append(await timed(lambda v=values, s=sort: get(**v, sort=s, limit=LIMIT), 1))  # type: ignore[misc] # bound per turn
        report("pages of 50, filter and sort, over HTTP", times, None)
        times = [await timed(lambda n=name: get_facet(mismo, n), 1) for name in ("genre", "artist", "key", "year")]  # type: ignore[misc] # bound per turn
        report("facets of everything, over HTTP", times, None)
        show("memory of the server after it", f"{resident_mb(mismo.pid):.0f} MB", "-", None)


async def get_facet(mismo: Mismo, name: str) -> None:
    async with mismo.session.get("/api/tracks/facets", params={"fields": name}) as answer:
        await answer.read()


async def measure(path: Path, tracks: int) -> None:
    await synthetic.fill(path, tracks)
    show("", "p50 / p99", "floor p50 / p99", None)
    database = SqliteDatabase(path)
    await database.open()
    try:
        await search(database)
        await pages(database)
    finally:
        await database.close()
    await over_http(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", type=Path)
    parser.add_argument("--tracks", type=int, default=1_000_000)
    options = parser.parse_args()
    asyncio.run(measure(options.path, options.tracks))


if __name__ == "__main__":
    main()
