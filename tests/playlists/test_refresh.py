"""After any changes a smart playlist holds what its criteria match, in their order, however little was looked at."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from random import Random
from typing import Any

import pytest

from server.config import Config
from tests.playlists.clock import START, StoppedClock, marked, refreshed, running_at
from tests.playlists.library import fill
from tests.playlists.test_lists import made
from tests.playlists.test_smart import smart
from tests.support.application import Running

GENRES = ("House", "Techno", "Disco")
ROUNDS = 12


def _track(rng: Random, number: int) -> dict[str, Any]:
    return {
        "title": f"T{rng.randrange(6)} {number}", "genre": rng.choice([None, *GENRES]),
        "bpm": rng.choice([None, 120.0, 124.0, 128.0, 128.0, 140.0]), "energy": rng.choice([None, 0.2, 0.5, 0.9]),
        "user_rating": rng.choice([None, 1, 3, 5]), "duration_seconds": float(rng.randrange(60, 400)),
        "musical_key": rng.randrange(12), "mode": rng.randrange(2),
        "last_played": rng.choice([None, START - 3_000_000_000, START - 1000]),
    }  # fmt: skip


def _field(name: str, op: str, value: Any = None) -> dict[str, Any]:
    return {"field": name, "op": op, "value": value}


async def _lists(mismo: Running, tracks: list[str], by_hand: str) -> list[dict[str, Any]]:
    """One of each kind: unsorted, sorted over one or more fields, limited, by the clock, on lists and on a track."""
    fast = await smart(mismo, bpm_min=125)
    criteria: list[dict[str, Any]] = [
        {"all": [_field("rating", "gte", 3)], "sort": ["-bpm"]},
        {"any": [_field("genre", "is", "House"), _field("bpm", "lt", 125)], "sort": ["genre", "-rating", "title"]},
        {"all": [], "sort": ["-last_played"]},
        {"all": [_field("genre", "is_not", "Techno")], "sort": ["-rating", "bpm"], "limit": 5},
        {"all": [_field("rating", "is_present")], "limit": 4},
        {"all": [_field("bpm", "gt", 100)], "sort": ["title"], "limit": 1000, "limit_by": "duration"},
        {"all": [_field("last_played", "not_in_last", "30d")], "sort": ["-play_count", "last_played"]},
        {"all": [_field("id", "in_playlist", by_hand)], "sort": ["-bpm", "-rating"]},
        {"all": [_field("id", "not_in_playlist", fast["id"]), _field("rating", "lt", 5)]},
        {"all": [_field("id", "in_playlist", fast["id"]), _field("id", "not_in_playlist", by_hand)], "sort": ["key"]},
        {"all": [_field("id", "similar_to", tracks[0])], "sort": ["title"]},
        {"all": [_field("is_missing", "is", False), _field("tags", "includes", "peak")]},
    ]
    return [fast, *[await smart(mismo, f"List {number}", **item) for number, item in enumerate(criteria)]]


async def _change(mismo: Running, rng: Random, tracks: list[str], by_hand: str) -> None:
    """Anything that a person, a scan or an engine may do."""
    track = rng.choice(tracks)
    edit = rng.choice(
        [
            {"rating": rng.randrange(6)}, {"bpm": rng.choice([118, 126, 128, 150])}, {"genre": rng.choice(GENRES)},
            {"title": f"T{rng.randrange(6)}"}, {"tags": rng.choice([[], ["Peak"]])},
        ]
    )  # fmt: skip

    async def edit_many() -> None:
        await mismo.client.post("/api/tracks/bulk", {"ids": rng.sample(tracks, min(12, len(tracks))), "set": edit})

    async def play() -> None:
        async with mismo.app.uow() as tx:
            await mismo.app.tracks.count_play(tx, track, START)

    async def put_in() -> None:
        await mismo.client.post(f"/api/playlists/{by_hand}/tracks", {"track_ids": [track]}, status=201)

    async def take_out() -> None:
        entries = (await mismo.client.get(f"/api/playlists/{by_hand}"))["data"]["entries"]
        if entries:
            await mismo.client.delete(f"/api/playlists/{by_hand}/entries/{rng.choice(entries)['entry_id']}")

    async def delete() -> None:
        tracks.remove(track)
        await mismo.client.delete(f"/api/tracks/{track}")

    async def come() -> None:
        tracks.extend(await fill(mismo.app, [_track(rng, rng.randrange(100))]))

    async def lose() -> None:
        async with mismo.app.uow() as tx:
            (row,) = await mismo.app.tracks.by_ids(tx, [track])
            await mismo.app.tracks.mark_missing(tx, [row["pk"]])

    async def find() -> None:
        async with mismo.app.uow() as tx:
            (row,) = await mismo.app.tracks.by_ids(tx, [track])
            await mismo.app.tracks.mark_found(tx, [row["pk"]])

    async def edit_one() -> None:
        await mismo.client.patch(f"/api/tracks/{track}", edit)

    acts: list[Callable[[], Coroutine[Any, Any, None]]] = [edit_many, play, put_in, take_out, delete, come, lose, find]
    await rng.choice([*acts, *[edit_one] * 5])()


@pytest.mark.parametrize("seed", range(3))
async def test_lists_hold_what_their_criteria_match_after_any_changes(config: Config, seed: int) -> None:
    rng = Random(seed)
    clock = StoppedClock()
    async with running_at(config, clock) as mismo:
        tracks = await fill(mismo.app, [_track(rng, number) for number in range(30)])
        by_hand = (await made(mismo, track_ids=tracks[3:9]))["id"]
        lists = await _lists(mismo, tracks, by_hand)
        for _ in range(ROUNDS):
            for _ in range(rng.choice([1, 1, 1, 4])):
                await _change(mismo, rng, tracks, by_hand)
            clock.pass_seconds(60)
            await refreshed(mismo)
            for item in lists:
                stored = (await mismo.client.get(f"/api/playlists/{item['id']}"))["data"]
                matched = (await mismo.client.post("/api/playlists/preview", {"criteria": item["criteria"]}))["data"]
                shown = [entry["track_id"] for entry in stored["entries"]]
                assert shown == [track["id"] for track in matched["tracks"]], item["criteria"]
                assert (stored["track_count"], stored["total_duration"]) == (len(shown), matched["total_duration"])


async def test_lists_follow_one_that_is_told_something_else(config: Config) -> None:
    clock = StoppedClock()
    async with running_at(config, clock) as mismo:
        await fill(mismo.app, [{"title": f"T{n}", "bpm": 120.0 + n} for n in range(4)])
        inner = await smart(mismo, "Inner", bpm_min=122)
        outer = await smart(mismo, "Outer", all=[_field("id", "in_playlist", inner["id"])])
        assert outer["track_count"] == 2
        await mismo.client.put(f"/api/playlists/{inner['id']}", {"criteria": {"bpm_min": 121}})
        await refreshed(mismo)  # without waiting: what it follows has waited already
        assert (await mismo.client.get(f"/api/playlists/{outer['id']}"))["data"]["track_count"] == 3


async def test_a_smart_list_is_as_long_as_its_files(config: Config) -> None:
    clock = StoppedClock()
    async with running_at(config, clock) as mismo:
        (track,) = await fill(mismo.app, [{"bpm": 125.0, "duration_seconds": 60.0}])
        fast = await smart(mismo, "Fast", bpm_min=122)
        async with mismo.app.uow() as tx:
            (row,) = await mismo.app.tracks.by_ids(tx, [track])
            await mismo.app.tracks.merge(tx, row, {"duration_seconds": 90.0})
        await marked(mismo)
        clock.pass_seconds(60)
        await refreshed(mismo)
        assert (await mismo.client.get(f"/api/playlists/{fast['id']}"))["data"]["total_duration"] == 90.0
