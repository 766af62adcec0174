"""Fill a database with a synthetic library, through the store's own SQL, so that its indexes and its search are real.

    python -m scripts.bench.synthetic /tmp/million.db --tracks 1000000

A file that holds that many tracks already is left as it is. Secondary indexes are dropped meanwhile and made again
afterwards, which changes nothing about them and takes a quarter of the time.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from random import Random
from typing import Any

import orjson

from scripts.bench import vocabulary
from server.db.migrate import migrate
from server.db.sqlite import SqliteDatabase
from server.hashing.container import Container
from server.metadata.model import BitRateMode, Metadata
from server.tracks import location_store
from server.tracks.model import FileFacts, HashState, Location, Values, complete, file_values, new_values
from server.tracks.resource import serialise
from server.tracks.store import TrackStore

BATCH = 5_000
DIRECTORIES = [f"00000000-0000-7000-8000-00000000000{number}" for number in range(3)]
ROOT = b"/music"
_DAY_MS = 86_400_000
_NOW_MS = 1_760_000_000_000


def batch(number: int, size: int, seed: int = 1) -> list[tuple[Values, bytes]]:
    """Rows and their JSON; the same numbers make the same rows."""
    random = Random(f"{seed}/{number}")
    made = []
    for offset in range(size):
        row = synthetic_row(random, number * size + offset)
        made.append((row, serialise(row, ROOT)))
    return made


def synthetic_row(random: Random, number: int) -> Values:
    """One track, with what its file says, what an analysis found and what a user did with some of them."""
    artist = vocabulary.artist(random)
    others = [vocabulary.artist(random) for _ in range(random.choice((0, 0, 0, 1)))]
    artists = [artist, *others]
    genres = random.sample(vocabulary.GENRES, random.choice((1, 1, 1, 1, 2)))
    title = vocabulary.title(random, artists)
    album = vocabulary.words(random, 1, 3)
    year = random.randint(1975, 2026)
    has_key = random.random() < 0.8
    metadata = Metadata(
        title=title,
        artist=artist,
        artists=tuple(artists),
        album=album,
        album_artist=artist if random.random() < 0.3 else None,
        genre=genres[0],
        genres=tuple(genres),
        year=year,
        date=str(year),
        track_number=random.randint(1, 20),
        comment=vocabulary.words(random, 2, 6) if random.random() < 0.2 else None,
        remixer=vocabulary.artist(random) if "Remix" in title else None,
        label=random.choice(vocabulary.LABELS) if random.random() < 0.6 else None,
        bpm=round(random.gauss(124, 14), 2) if random.random() < 0.85 else None,
        musical_key=random.randrange(12) if has_key else None,
        mode=random.randrange(2) if has_key else None,
        rating=random.randint(1, 5) if random.random() < 0.2 else None,
        has_artwork=random.random() < 0.7,
        duration_seconds=round(random.uniform(90, 600), 3),
        codec="mp3",
        container=Container.MPEG,
        sample_rate=44_100,
        bit_rate=random.choice((128_000, 192_000, 256_000, 320_000)),
        bit_rate_mode=BitRateMode.CBR,
        channels=2,
    )
    facts = FileFacts(random.randrange(2_000_000, 20_000_000), number * 1_000_000_000, number + 1, 1)
    audio_hash = f"{random.getrandbits(128):032x}"
    folder = f"{number // 1000:04d}/{album}".replace("\0", "")
    path = f"{folder}/{random.randint(1, 20):02d} {title}".replace("\0", "")[:200].encode() + f" {number}.mp3".encode()
    # Files were added over three years, in the order of their numbers.
    added = _NOW_MS - 1000 * _DAY_MS + number * 60_000
    row = new_values(
        _id(random, added), random.choice(DIRECTORIES), path,
        file_values(metadata, facts, audio_hash, HashState.DONE), added,
    )  # fmt: skip
    return complete({**row, **_analysed(random), **_used(random)})


def _id(random: Random, milliseconds: int) -> str:
    text = f"{milliseconds << 80 | 0x7 << 76 | random.getrandbits(12) << 64 | 0b10 << 62 | random.getrandbits(62):032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def _analysed(random: Random) -> Values:
    if random.random() > 0.6:
        return dict.fromkeys(("energy", "danceability", "valence", "loudness")) | {"is_analyzed": 0}
    return {
        "energy": round(random.random(), 4),
        "danceability": round(random.random(), 4),
        "valence": round(random.random(), 4),
        "loudness": round(random.uniform(-20, -5), 2),
        "is_analyzed": 1,
    }


def _used(random: Random) -> Values:
    plays = random.choice((0, 0, 0, 0, 1, 2, 5, 40))
    return {
        "play_count": plays,
        "last_played": _NOW_MS - random.randrange(900 * _DAY_MS) if plays else None,
        "is_favorite": int(random.random() < 0.03),
        "color_tag": random.choice(("red", "green", "blue")) if random.random() < 0.05 else None,
        "tags": orjson.dumps([random.choice(("peak", "warmup", "closing"))]).decode()
        if random.random() < 0.1
        else "[]",
    }


async def fill(path: Path, tracks: int, jobs: int = 2) -> None:
    """Make sure that the database file holds so many tracks."""
    database = SqliteDatabase(path)
    await database.open()
    try:
        await migrate(database)
        present: int = await database.fetch_value("SELECT count(*) FROM tracks")
        if present >= tracks:
            return
        await _insert(database, present, tracks, jobs)
    finally:
        await database.close()


async def _insert(database: SqliteDatabase, present: int, tracks: int, jobs: int) -> None:
    store = TrackStore(database.dialect)
    loop = asyncio.get_running_loop()
    numbers = list(range(present // BATCH, -(-tracks // BATCH)))
    async with database.write() as connection:
        indexes = await connection.fetch_all(
            "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
            " AND tbl_name IN ('tracks', 'track_terms') AND sql NOT LIKE 'CREATE UNIQUE%'"
        )
        for index in indexes:
            await connection.execute(f"DROP INDEX {index['name']}")
        await connection.execute("PRAGMA cache_size = -524288")
        for directory in DIRECTORIES:
            await location_store.put(connection, Location(directory, ROOT))
    with ProcessPoolExecutor(jobs) as pool:
        waiting = [loop.run_in_executor(pool, batch, number, BATCH) for number in numbers[: 2 * jobs]]
        for place in range(len(numbers)):
            made: Sequence[tuple[Values, bytes]] = await waiting[place]
            waiting[place] = loop.create_future()
            if place + 2 * jobs < len(numbers):
                waiting.append(loop.run_in_executor(pool, batch, numbers[place + 2 * jobs], BATCH))
            async with database.write() as connection:
                await store.insert(connection, [row for row, _ in made], [json for _, json in made])
    async with database.write() as connection:
        for index in indexes:
            await connection.execute(index["sql"])
    async with database.write() as connection:
        for table in ("track_words", "track_fragments"):
            await connection.execute(f"INSERT INTO {table} ({table}) VALUES ('optimize')")
    await database.optimize()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", type=Path)
    parser.add_argument("--tracks", type=int, default=1_000_000)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    options: Any = parser.parse_args()
    started = time.perf_counter()
    asyncio.run(fill(options.path, options.tracks, options.jobs))
    print(f"{options.path}: {options.tracks} tracks, {time.perf_counter() - started:.1f} s")


if __name__ == "__main__":
    main()
