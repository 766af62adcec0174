"""Facets, figures of the whole, and the delta sync."""

from __future__ import annotations

from random import Random
from typing import Any

from tests.tracks.shelf import Shelf, named


async def _facets(shelf: Shelf, fields: str, **params: Any) -> dict[str, dict[Any, int]]:
    data = (await shelf.mismo.client.get("/api/tracks/facets", fields=fields, **params))["data"]
    return {name: {item["value"]: item["count"] for item in items} for name, items in data.items()}


async def test_facets_count_values_under_the_present_filters(shelf: Shelf) -> None:
    await shelf.put(
        {"title": "a", "artist": "Björk", "genre": "House", "key": "8A", "year": 2000},
        {"title": "b", "artist": "bjork", "genre": "House", "key": "8A", "year": 2001},
        {"title": "c", "artist": "Other", "genre": "Techno", "key": "9B"},
        {"title": "d"},
    )
    assert await _facets(shelf, "artist,genre,key,year") == {
        "artist": {"Björk": 2, "Other": 1},
        "genre": {"House": 2, "Techno": 1},
        "key": {"8A": 2, "9B": 1},
        "year": {2000: 1, 2001: 1},
    }
    assert await _facets(shelf, "genre", artist="bjork") == {"genre": {"House": 2}}
    assert await _facets(shelf, "genre", limit=1) == {"genre": {"House": 2}}


async def test_facets_count_each_of_several_values(shelf: Shelf) -> None:
    """What a facet counts is what its value, used as a filter, finds."""
    await shelf.put(
        {
            "title": "a",
            "artists": ("A", "B"),
            "artist": "A & B",
            "genres": ("House", "Techno"),
            "row": {"tags": '["x","Y"]'},
        },
        {"title": "b", "artist": "B", "genres": ("Techno",), "row": {"tags": '["y"]'}},
        {"title": "c", "artist": "A & B", "genres": ("House", "Techno", "Dub")},
    )
    facets = await _facets(shelf, "genre,artist,tag")
    assert facets["genre"] == {"House": 2, "Techno": 3, "Dub": 1}
    for name, values in facets.items():
        for value, count in values.items():
            assert len(await shelf.found(**{name: value})) == count, (name, value)
    assert {value.lower(): count for value, count in facets["tag"].items()} == {"x": 1, "y": 2}


async def test_figures_of_the_whole(shelf: Shelf) -> None:
    await shelf.put(
        {
            "title": "a",
            "bpm": 122.0,
            "genre": "House",
            "duration_seconds": 100.5,
            "key": "8A",
            "row": {"is_analyzed": 1},
        },
        {"title": "b", "bpm": 124.9, "genre": "House", "duration_seconds": 99.5},
        {"title": "c", "path": "c.flac", "bpm": 125.0},
        {"title": "d"},
    )
    async with shelf.mismo.app.uow() as tx:
        row = await shelf.mismo.app.tracks.row(shelf.ids["d"])
        await shelf.mismo.app.tracks.mark_missing(tx, [row["pk"]])
    stats = (await shelf.mismo.client.get("/api/tracks/stats"))["data"]
    assert stats["bpm_histogram"] == [
        {"bpm_min": 120, "bpm_max": 125, "count": 2}, {"bpm_min": 125, "bpm_max": 130, "count": 1},
    ]  # fmt: skip
    assert (stats["total_tracks"], stats["missing"], stats["analyzed"], stats["analyzed_share"]) == (4, 1, 1, 0.25)
    assert (stats["total_duration_seconds"], stats["total_bytes"]) == (200.0, 1001 + 1002 + 1003 + 1004)
    assert stats["formats"] == [{"value": "mp3", "count": 3}, {"value": "flac", "count": 1}]
    assert stats["genres"] == [{"value": "House", "count": 2}]
    assert stats["keys"] == [{"value": "8A", "count": 1}]


async def test_empty_library_has_figures_too(shelf: Shelf) -> None:
    stats = (await shelf.mismo.client.get("/api/tracks/stats"))["data"]
    assert (stats["total_tracks"], stats["analyzed_share"], stats["bpm_histogram"]) == (0, 0.0, [])
    assert (await shelf.mismo.client.get("/api/tracks"))["pagination"]["total_pages"] == 0


async def test_pages_of_a_delta_make_a_copy_equal_to_a_fresh_one(shelf: Shelf) -> None:
    random = Random(5)
    copy: dict[str, dict[str, Any]] = {}
    seq = 0
    for turn in range(12):
        await shelf.put(*named([f"{turn}/{number}" for number in range(random.randint(0, 30))]))
        titles = sorted(shelf.ids)
        for title in random.sample(titles, min(8, len(titles))):
            if random.random() < 0.3:
                await shelf.mismo.client.delete(f"/api/tracks/{shelf.ids.pop(title)}")
            else:
                await shelf.patch(title, rating=random.randint(0, 5))
        # Sometimes only a part is fetched, and the library goes on changing.
        for _ in range(random.randint(0, 4)):
            seq = await _apply(shelf, copy, seq, random.randint(1, 9))
    while True:
        before, seq = seq, await _apply(shelf, copy, seq, 7)
        if seq == before:
            break
    whole = (await shelf.mismo.client.get("/api/tracks", limit=1000))["data"]
    assert copy == {track["id"]: track for track in whole}


async def _apply(shelf: Shelf, copy: dict[str, dict[str, Any]], since: int, limit: int) -> int:
    delta = (await shelf.mismo.client.get("/api/library", since=since, limit=limit))["data"]
    assert len(delta["added"]) + len(delta["updated"]) + len(delta["deleted"]) <= limit
    for track in delta["added"]:
        copy[track["id"]] = track
    for track in delta["updated"]:
        copy[track["id"]] = track
    for track_id in delta["deleted"]:
        copy.pop(track_id, None)
    assert delta["seq"] > since or not delta["has_more"]
    return int(delta["seq"])


async def test_delta_since_a_number_never_given_is_gone(shelf: Shelf) -> None:
    await shelf.mismo.client.get("/api/library", since=10**9, status=410)
    await shelf.mismo.client.get("/api/library", since=-1, status=422)
