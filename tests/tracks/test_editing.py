"""Edits: of one track and of many; what a user set stays, and null takes it back."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from server import ids
from server.tracks.schemas import Edits
from tests.support import sound
from tests.support.application import Running
from tests.tracks.shelf import Shelf, named

# Field → a value to set, and what GET shows of it. `key` shows under other names.
_EDITS: dict[str, tuple[Any, Any]] = {
    "rating": (4, 4),
    "color_tag": ("red", "red"),
    "energy_level": (7, 7),
    "is_favorite": (True, True),
    "tags": (["peak", "peak", "Late"], ["peak", "Late"]),
    "bpm": (128.5, 128.5),
    "title": ("New", "New"),
    "artist": ("New", "New"),
    "artists": (["A", "B"], ["A", "B"]),
    "album": ("New", "New"),
    "album_artist": ("New", "New"),
    "genre": ("New", "New"),
    "genres": (["X", "Y"], ["X", "Y"]),
    "year": (1999, 1999),
    "date": ("1999-05", "1999-05"),
    "track_number": (3, 3),
    "track_total": (12, 12),
    "disc_number": (1, 1),
    "disc_total": (2, 2),
    "comment": ("New", "New"),
    "composer": ("New", "New"),
    "remixer": ("New", "New"),
    "label": ("New", "New"),
    "isrc": ("GBAYE0000351", "GBAYE0000351"),
    "grouping": ("New", "New"),
    "compilation": (True, True),
    "first_beat_offset": (0.25, 0.25),
    "first_phrase_beat_no": (5, 5),
}
_VOLATILE = {"updated_at"}


def _without_time(track: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in track.items() if name not in _VOLATILE}


def test_every_editable_field_is_tried() -> None:
    assert {*_EDITS, "key"} == set(Edits().fields)


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
async def test_every_field_is_set_and_taken_back(shelf: Shelf, method: str) -> None:
    await shelf.put(
        {
            "title": "file", "artist": "file", "artists": ("file", "other"), "genres": ("file", "more"), "year": 2000,
            "bpm": 100.0, "key": "8A", "rating": 2, "energy_level": 3, "comment": "file", "compilation": False,
        },
    )  # fmt: skip
    path = f"/api/tracks/{shelf.ids['file']}"
    before = await shelf.get("file")
    for name, (value, shown) in _EDITS.items():
        answer = await shelf.mismo.client.request(method, path, {name: value})
        assert answer.status == 200, answer.content
        assert answer.json["data"][name] == shown, name
        assert (await shelf.mismo.client.get(path))["data"] == answer.json["data"]
        back = False if name == "is_favorite" else None
        answer = await shelf.mismo.client.request(method, path, {name: back})
        assert _without_time(answer.json["data"]) == _without_time(before), name


async def test_effective_values_prefer_the_user_then_the_analysis_then_the_tag(shelf: Shelf) -> None:
    await shelf.put(
        {"title": "tag", "bpm": 100.0, "key": "8A"},
        {"title": "analysis", "bpm": 100.0, "key": "8A", "row": {"analysis_bpm": 101.0, "analysis_key": 0}},
        {"title": "none"},
    )
    assert [await _effective(shelf, title) for title in ("tag", "analysis", "none")] == [
        (100.0, "tag", "8A", "tag"), (101.0, "analysis", "5A", "analysis"), (None, None, None, None),
    ]  # fmt: skip
    await shelf.patch("analysis", bpm=102, key="12B")
    assert await _effective(shelf, "analysis") == (102.0, "user", "12B", "user")
    assert await shelf.found(bpm_min=102) == {"analysis"}
    assert await shelf.found(camelot="12B") == {"analysis"}
    await shelf.patch("analysis", bpm=None, key=None)
    assert await _effective(shelf, "analysis") == (101.0, "analysis", "5A", "analysis")


async def _effective(shelf: Shelf, title: str) -> tuple[Any, ...]:
    track = await shelf.get(title)
    return track["bpm"], track["bpm_source"], track["camelot"], track["key_source"]


async def test_corrections_survive_new_tags_and_null_shows_what_the_file_says_now(mismo: Running, music: Path) -> None:
    file = sound.mp3(music / "one.mp3", 1, TIT2="Tilte", TPE1="Someone", TALB="First", TBPM="100")
    directory = await mismo.added(music)
    await mismo.scanned(directory["id"])
    (track,) = (await mismo.client.get("/api/tracks"))["data"]
    path = f"/api/tracks/{track['id']}"
    edited = (await mismo.client.patch(path, {"title": "Title", "bpm": 99, "rating": 5, "artist": ""}))["data"]
    assert (edited["metadata_source"], edited["artist"]) == ("user", "")
    sound.retag(file, TIT2="Titel", TALB="Second", TBPM="120")
    assert (await mismo.scanned(directory["id"]))["counts"]["updated"] == 1
    after = (await mismo.client.get(path))["data"]
    assert (after["title"], after["bpm"], after["rating"], after["album"]) == ("Title", 99, 5, "Second")
    freed = (await mismo.client.patch(path, {"title": None, "bpm": None, "artist": None}))["data"]
    assert (freed["title"], freed["bpm"], freed["bpm_source"], freed["artist"]) == ("Titel", 120, "tag", "Someone")
    assert freed["metadata_source"] == "tags"
    assert (await mismo.scanned(directory["id"]))["counts"]["unchanged"] == 1


_SEVERAL = {
    "title": "one",
    "artists": ("File", "Other"),
    "genres": ("File", "More"),
    "year": 2003,
    "date": "2003-02-01",
}


@pytest.mark.parametrize(
    ("edit", "shown"),
    [
        ({"genre": "House"}, {"genre": "House", "genres": ["House"]}),
        ({"genre": ""}, {"genre": "", "genres": []}),
        ({"genres": ["House", "Dub"]}, {"genre": "House", "genres": ["House", "Dub"]}),
        ({"genres": []}, {"genre": None, "genres": []}),
        ({"artist": "A & B"}, {"artist": "A & B", "artists": ["A & B"]}),
        ({"artists": ["A", "B"]}, {"artist": "A", "artists": ["A", "B"]}),
        ({"artist": "A & B", "artists": ["A", "B"]}, {"artist": "A & B", "artists": ["A", "B"]}),
        ({"year": 1999}, {"year": 1999, "date": "1999"}),
        ({"year": 2003}, {"year": 2003, "date": "2003-02-01"}),
        ({"date": "1999-05"}, {"year": 1999, "date": "1999-05"}),
    ],
)
async def test_what_says_the_same_follows_an_edit(shelf: Shelf, edit: dict[str, Any], shown: dict[str, Any]) -> None:
    await shelf.put(_SEVERAL)
    before = await shelf.get("one")
    after = await shelf.patch("one", **edit)
    assert {name: after[name] for name in shown} == shown
    back = await shelf.patch("one", **dict.fromkeys(edit))
    assert _without_time(back) == _without_time(before)


async def test_edited_genre_is_what_filters_and_facets_see(shelf: Shelf) -> None:
    await shelf.put({**_SEVERAL, "title": "one"}, {**_SEVERAL, "title": "two"})
    await shelf.patch("one", genre="House", artist="Me")
    assert await shelf.found(genre="more") == {"two"}
    assert await shelf.found(genre="house") == {"one"}
    assert await shelf.found(artist="other") == {"two"}
    facets = (await shelf.mismo.client.get("/api/tracks/facets", fields="genre,artist"))["data"]
    assert {item["value"]: item["count"] for item in facets["genre"]} == {"File": 1, "House": 1, "More": 1}
    assert {item["value"]: item["count"] for item in facets["artist"]} == {"File": 1, "Me": 1, "Other": 1}


async def test_edit_that_follows_gives_way_to_the_users_own(shelf: Shelf) -> None:
    await shelf.put(_SEVERAL)
    await shelf.patch("one", artist="A & B")
    assert (await shelf.patch("one", artists=["A", "B"]))["artist"] == "A & B"
    assert (await shelf.patch("one", artist=None))["artist"] == "A"
    after = await shelf.patch("one", artists=None)
    assert (after["artist"], after["artists"], after["metadata_source"]) == ("File", ["File", "Other"], "tags")


@pytest.mark.parametrize("date", ["soon", "1999-13", "1999-05-32", "99", "", "1999-05-06T25:00", "1999" * 20])
async def test_date_that_is_none_is_refused(shelf: Shelf, date: str) -> None:
    (track_id,) = await shelf.put(_SEVERAL)
    answer = await shelf.mismo.client.patch(f"/api/tracks/{track_id}", {"date": date}, status=422)
    assert answer["errors"][0]["field"] == "date"


async def test_edit_is_announced_once_and_an_edit_that_changes_nothing_isnt(shelf: Shelf) -> None:
    await shelf.put(*named(["one"]))
    async with shelf.mismo.socket("track:updated") as socket:
        first = await shelf.patch("one", rating=3)
        assert await shelf.patch("one", rating=3) == first
        await socket.up_to(shelf.mismo.app.log.seq)
        second = await shelf.patch("one", rating=4)
        await socket.up_to(shelf.mismo.app.log.seq)
    for track in (first, second):
        del track["hot_cues"]  # which only the answer about one track has
    assert [event["data"]["tracks"] for event in socket.events] == [[first], [second]]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "body"),
        ({"ratng": 3}, "ratng"),
        ({"rating": 6}, "rating"),
        ({"rating": "3"}, "rating"),
        ({"rating": 2.5}, "rating"),
        ({"is_favorite": "yes"}, "is_favorite"),
        ({"is_favorite": None}, "is_favorite"),
        ({"bpm": 0}, "bpm"),
        ({"key": "X"}, "key"),
        ({"title": ""}, "title"),
        ({"title": "a\0b"}, "title"),
        ({"tags": "peak"}, "tags"),
        ({"tags": [1]}, "tags[0]"),
        ({"id": "x"}, "id"),
        ({"play_count": 3}, "play_count"),
    ],
)
async def test_wrong_edit_is_refused_by_name(shelf: Shelf, body: dict[str, Any], field: str) -> None:
    (track_id,) = await shelf.put(*named(["one"]))
    answer = await shelf.mismo.client.patch(f"/api/tracks/{track_id}", body, status=422)
    assert answer["errors"][0]["field"] == field


async def test_edits_that_come_at_once_all_stay(shelf: Shelf) -> None:
    fields = ("rating", "color_tag", "energy_level", "is_favorite", "bpm", "title", "album", "year", "comment", "isrc")
    for _ in range(5):
        (track_id,) = await shelf.put({"title": "one"})
        url = f"/api/tracks/{track_id}"
        client = shelf.mismo.client
        await asyncio.gather(*(client.patch(url, {name: _EDITS[name][0]}) for name in fields))
        shown = (await client.get(url))["data"]
        assert {name: shown[name] for name in fields} == {name: _EDITS[name][1] for name in fields}


async def test_unknown_track(shelf: Shelf) -> None:
    path = f"/api/tracks/{ids.new_id()}"
    await shelf.mismo.client.get(path, status=404)
    await shelf.mismo.client.patch(path, {"rating": 1}, status=404)
    await shelf.mismo.client.put(path, {"rating": 1}, status=404)
    await shelf.mismo.client.delete(path, status=404)
    await shelf.mismo.client.get("/api/tracks/not-an-id", status=404)


async def test_deleted_track_is_gone_everywhere(shelf: Shelf) -> None:
    await shelf.put({"title": "Night", "genres": ("A", "B")}, {"title": "Day"})
    async with shelf.mismo.socket("track:*") as socket:
        await shelf.mismo.client.delete(f"/api/tracks/{shelf.ids['Night']}")
        deleted = await socket.named("track:deleted")
    assert deleted["data"] == {"ids": [shelf.ids["Night"]]}
    assert await shelf.titles() == ["Day"]
    assert await shelf.search("night") == []
    assert await shelf.found(genre="B") == set()


async def test_many_at_once_by_ids_in_one_transaction(shelf: Shelf) -> None:
    many = await shelf.put(*named([f"t{number}" for number in range(1200)]))
    async with shelf.mismo.socket("track:updated", detail="ids") as socket:
        answer = await shelf.mismo.client.post("/api/tracks/bulk", {"ids": [*many, many[0]], "set": {"rating": 3}})
        await socket.up_to(shelf.mismo.app.log.seq)
    assert answer["data"] == {"matched": 1200}
    assert [len(event["data"]["ids"]) for event in socket.events] == [500, 500, 200]
    assert sorted(track_id for event in socket.events for track_id in event["data"]["ids"]) == sorted(many)
    assert (await shelf.mismo.client.get("/api/tracks", rating_min=3))["pagination"]["total"] == 1200


async def test_many_at_once_by_filter(shelf: Shelf) -> None:
    await shelf.put(
        {"title": "a", "genre": "House", "bpm": 120.0},
        {"title": "b", "genre": "Techno", "bpm": 130.0},
        {"title": "c", "genre": "House", "bpm": 90.0},
        {"title": "d"},
    )
    body = {"filter": {"genre": ["house", "techno"], "bpm_min": 100}, "set": {"tags": ["peak"], "genre": "Club"}}
    assert (await shelf.mismo.client.post("/api/tracks/bulk", body))["data"] == {"matched": 2}
    assert await shelf.found(tag="peak", genre="club") == {"a", "b"}
    assert await shelf.search("club") == ["a", "b"]


async def test_unknown_id_stops_the_whole_edit(shelf: Shelf) -> None:
    many = await shelf.put(*named([f"t{number}" for number in range(600)]))
    seq = shelf.mismo.app.log.seq
    unknown = ids.new_id()
    answer = await shelf.mismo.client.post(
        "/api/tracks/bulk", {"ids": [*many, unknown], "set": {"rating": 3}}, status=422
    )
    assert unknown in answer["detail"]
    assert await shelf.found(rating_min=1) == set()
    assert shelf.mismo.app.log.seq == seq


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"set": {"rating": 1}}, "body"),
        ({"ids": [], "set": {"rating": 1}}, "ids"),
        ({"ids": ["x"], "set": {"rating": 1}}, "ids[0]"),
        ({"filter": {}, "ids": [], "set": {"rating": 1}}, "ids"),
        ({"filter": {"gnre": "House"}, "set": {"rating": 1}}, "filter.gnre"),
        ({"filter": {"genre": None}, "set": {"rating": 1}}, "filter.genre"),
        ({"filter": {"year_min": None, "ids": None}, "set": {"rating": 1}}, "filter.ids"),
        ({"filter": {"genre": "House"}, "set": {}}, "set"),
        ({"filter": {"genre": "House"}}, "set"),
        ({"filter": {"genre": "House"}, "set": {"rating": 9}}, "set.rating"),
    ],
)
async def test_wrong_bulk_edit_is_refused_by_name(shelf: Shelf, body: dict[str, Any], field: str) -> None:
    answer = await shelf.mismo.client.post("/api/tracks/bulk", body, status=422)
    assert field in {item["field"] for item in answer["errors"]}
