"""The order of lists, held against sorting in Python; and pages by number and by cursor, whatever the order."""

from __future__ import annotations

import math
from itertools import islice
from random import Random
from typing import Any

import orjson
import pytest

from server.api.paging import decode_cursor, encode_cursor
from server.tracks.fold import fold
from server.tracks.listing import SORTABLE
from tests.support.application import Running
from tests.tracks.shelf import Shelf, named

_TEXTS = (None, "Ärger", "arg", "Zoë", "zoe 2", "Ωmega", "東京", "10", "9", "a b", "ab")
_SHOWN = {"key": "camelot", "duration": "duration_seconds", "file_name": "file_name"}


def _spec(random: Random, number: int) -> dict[str, Any]:
    def maybe(low: int, high: int) -> int | None:
        return random.choice([None, random.randint(low, high)])

    text = {
        name: random.choice(_TEXTS)
        for name in ("artist", "album", "album_artist", "genre", "label", "composer", "remixer")
    }
    bpm, rating, energy = maybe(90, 95), maybe(1, 5), maybe(0, 3)
    return {
        **text,
        "title": random.choice(_TEXTS[1:]),
        "path": f"{random.choice('abc')}/{number}.{random.choice(('mp3', 'flac'))}",
        "key": random.choice(("", "1A", "1B", "2A", "10A", "12B")),
        "year": maybe(2000, 2003),
        "track_number": maybe(1, 3),
        "disc_number": maybe(1, 2),
        "bit_rate": maybe(1, 3),
        "duration_seconds": None if rating is None else rating / 3,
        "row": {
            "tag_bpm": None if bpm is None else bpm + 0.1,
            "tag_rating": rating,
            "tag_energy_level": maybe(0, 10),
            "energy": None if energy is None else energy / 3,
            "danceability": maybe(0, 2),
            "valence": maybe(0, 2),
            "loudness": maybe(-9, -7),
            "play_count": random.randint(0, 2),
            "last_played": maybe(1, 3),
            "date_added": random.randint(1, 5),
            "updated_at": random.randint(1, 5),
        },
    }


@pytest.fixture
async def many(shelf: Shelf) -> Shelf:
    random = Random(7)
    await shelf.put(*(_spec(random, number) for number in range(120)))
    return shelf


def _value(track: dict[str, Any], name: str) -> Any:
    """What a track is sorted by, from its public form. None is what comes last."""
    value = track[_SHOWN.get(name, name)]
    if value is None:
        return None
    if name == "key":
        return int(value[:-1]) * 2 + (value[-1] == "B")
    if name == "file_name":
        return fold(value.rsplit(".", 1)[0])
    if isinstance(value, str) and name not in ("format", "relative_path", "date_added", "updated_at", "last_played"):
        return fold(value).encode()
    return value.encode() if isinstance(value, str) else value


@pytest.mark.parametrize("name", sorted(SORTABLE))
async def test_every_sortable_field_in_both_directions_with_missing_values_last(many: Shelf, name: str) -> None:
    for sort, direction in ((name, 1), (f"-{name}", -1)):
        tracks = (await many.mismo.client.get("/api/tracks", sort=sort, limit=1000))["data"]
        values = [_value(track, name) for track in tracks]
        present = [value for value in values if value is not None]
        assert values == [*sorted(present, reverse=direction < 0), *[None] * (len(values) - len(present))]


async def test_descending_by_order(many: Shelf) -> None:
    minus = await many.mismo.client.get("/api/tracks", sort="-bpm,-title")
    assert await many.mismo.client.get("/api/tracks", sort="bpm,title", order="desc") == minus


async def test_order_without_a_sort_turns_the_order_in_which_tracks_came(shelf: Shelf) -> None:
    await shelf.put(*named(["first", "second", "third"]))
    assert await shelf.titles(order="asc") == await shelf.titles() == ["first", "second", "third"]
    assert await shelf.titles(order="desc") == ["third", "second", "first"]


async def test_key_goes_around_the_wheel(shelf: Shelf) -> None:
    await shelf.put(*({"title": text, "key": text} for text in ("10A", "2B", "1A", "2A", "12B", "1B")), {"title": "-"})
    assert await shelf.titles(sort="key") == ["1A", "1B", "2A", "2B", "10A", "12B", "-"]
    assert await shelf.titles(sort="-key") == ["12B", "10A", "2B", "2A", "1B", "1A", "-"]


@pytest.mark.parametrize("seed", range(12))
async def test_pages_by_cursor_are_the_pages_by_number(many: Shelf, seed: int) -> None:
    random = Random(seed)
    names = random.sample(sorted(SORTABLE), random.randint(0, 3))
    names = [f"-{name}" if random.random() < 0.5 else name for name in names]
    limit = random.choice([1, 7, 50])
    params: dict[str, Any] = {"limit": limit, "sort": ",".join(names)}
    if random.random() < 0.5:
        params["play_count_min"] = 1
    whole = (await many.mismo.client.get("/api/tracks", **{**params, "limit": 1000}))["data"]
    by_number: list[dict[str, Any]] = []
    for page in range(1, math.ceil(len(whole) / limit) + 2):
        answer = await many.mismo.client.get("/api/tracks", **params, page=page)
        assert answer["pagination"]["total"] == len(whole)
        by_number += answer["data"]
    assert by_number == whole
    assert [item async for item in _walk(many.mismo, params)] == whole
    for depth in range(len(names), 0, -1):
        values = [[_value(track, name.removeprefix("-")) for name in names[:depth]] for track in whole]
        assert values == sorted(values, key=lambda row: [_order(v, n) for v, n in zip(row, names, strict=False)])


def _order(value: Any, name: str) -> tuple[bool, Any]:
    if value is None:
        return True, 0
    return False, _Reversed(value) if name.startswith("-") else value


class _Reversed:
    def __init__(self, value: Any):
        self.value = value

    def __lt__(self, other: _Reversed) -> bool:
        return bool(other.value < self.value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Reversed) and bool(self.value == other.value)

    __hash__ = None  # type: ignore[assignment] # compared only


async def _walk(mismo: Running, params: dict[str, Any]) -> Any:
    cursor: str | None = ""
    while cursor is not None:
        answer = await mismo.client.get("/api/tracks", **{**params, **({"cursor": cursor} if cursor else {})})
        assert cursor == "" or answer["pagination"]["page"] is None
        for track in answer["data"]:
            yield track
        cursor = answer["pagination"]["next_cursor"]


@pytest.mark.parametrize("sort", ["", "bpm", "-bpm", "title", "-artist,bpm", "-date_added"])
async def test_cursor_skips_and_repeats_nothing_while_the_library_changes(many: Shelf, sort: str) -> None:
    """Tracks that stay as they were come exactly once; those that come, go or change may come or not."""
    random = Random(sort)
    before = [track["id"] for track in (await many.mismo.client.get("/api/tracks", sort=sort, limit=1000))["data"]]
    touched: set[str] = set()
    seen: list[str] = []
    new = iter(range(1000))
    async for track in _walk(many.mismo, {"sort": sort, "limit": 10}):
        seen.append(track["id"])
        if len(seen) % 10 == 0:
            untouched = [track_id for track_id in before if track_id not in touched]
            deleted, edited = random.sample(untouched, 2)
            touched |= {deleted, edited}
            await many.mismo.client.delete(f"/api/tracks/{deleted}")
            await many.mismo.client.patch(f"/api/tracks/{edited}", {"bpm": random.uniform(80, 100), "title": "moved"})
            await many.put(*(_spec(random, 1000 + number) for number in islice(new, 3)))
    stable = [track_id for track_id in before if track_id not in touched]
    assert [track_id for track_id in seen if track_id in set(stable)] == stable


@pytest.mark.parametrize("sort", ["", "bpm", "title", "-play_count,title"])
async def test_tampered_cursor_is_refused(shelf: Shelf, sort: str) -> None:
    await shelf.put(*named([f"t{number}" for number in range(5)], bpm=120.0))
    real = (await shelf.mismo.client.get("/api/tracks", sort=sort, limit=1))["pagination"]["next_cursor"]
    position = decode_cursor(real)
    forged = ["", "x", "ö", "%%%", "A" * 5000, encode_cursor([]), encode_cursor(1), real[:-5], "null"]
    odd: list[Any] = [None, True, 10**400, 2**63, -(2**80), 1.5, "a\0", "x", [], {}, "9" * 30]
    paths = [(index,) for index in range(len(position))] + [
        (len(position) - 1, index) for index in range(len(position[-1]))
    ]
    for path in paths:
        for value in odd:
            changed = orjson.loads(orjson.dumps(position))
            place = changed
            for index in path[:-1]:
                place = place[index]
            if place[path[-1]] == value or (isinstance(value, int) and abs(value) >= 2**64):
                continue
            place[path[-1]] = value
            forged.append(encode_cursor(changed))
    for cursor in forged:
        answer = await shelf.mismo.client.request("GET", "/api/tracks", params={"sort": sort, "cursor": cursor})
        # What still is a place in this list may be answered; nothing else may, and nothing may break.
        assert answer.status in (200, 422), cursor
        if answer.status == 422:
            assert answer.json["errors"][0]["field"] == "cursor"
    for cursor in forged[:9]:
        assert await shelf.refused(sort=sort, cursor=cursor) == "cursor"


async def test_cursor_belongs_to_its_list(shelf: Shelf) -> None:
    await shelf.put(*named([f"t{number}" for number in range(5)], bpm=120.0))
    cursor = (await shelf.mismo.client.get("/api/tracks", sort="bpm", limit=1))["pagination"]["next_cursor"]
    assert await shelf.refused(sort="title", cursor=cursor) == "cursor"
    assert await shelf.refused(sort="-bpm", cursor=cursor) == "cursor"
    assert await shelf.refused(sort="bpm", bpm_min=1, cursor=cursor) == "cursor"
    assert await shelf.refused(sort="bpm", cursor=cursor, page=2) == "page"
    assert len(await shelf.titles(sort="bpm", cursor=cursor, limit=3)) == 3
