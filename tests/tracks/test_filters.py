"""Every filter of a list, through HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from server import ids
from server.tracks.filters import EQUALS, NAMES, RANGES
from server.tracks.model import Location, Missing
from tests.tracks.shelf import ROOT, Shelf, named


@pytest.mark.parametrize("name", EQUALS)
async def test_text_filter_ignores_case_accents_and_punctuation(shelf: Shelf, name: str) -> None:
    await shelf.put({"title": "Jóga", name: "Jóga"}, {"title": "Other", name: "Other"})
    assert await shelf.found(**{name: "JOGA"}) == {"Jóga"}
    assert await shelf.found(**{name: "jóga!"}) == {"Jóga"}
    assert await shelf.found(**{name: "jog"}) == set()


@pytest.mark.parametrize("name", EQUALS)
async def test_repeated_text_filter_is_an_alternative(shelf: Shelf, name: str) -> None:
    await shelf.put(*({"title": text, name: text} for text in ("One", "Two", "Three")))
    assert await shelf.found(**{name: ["one", "two"]}) == {"One", "Two"}


@pytest.mark.parametrize("name", EQUALS)
async def test_text_filter_contains(shelf: Shelf, name: str) -> None:
    await shelf.put({"title": "Deep Börder", name: "Deep Börder"}, {"title": "100%_x", name: "100%_x"})
    assert await shelf.found(**{f"{name}~": "BORD"}) == {"Deep Börder"}
    assert await shelf.found(**{f"{name}~": ["zzz", "ord"]}) == {"Deep Börder"}
    assert await shelf.found(**{f"{name}~": "p b"}) == {"Deep Börder"}
    assert await shelf.found(**{f"{name}~": "100%"}) == {"100%_x"}


@pytest.mark.parametrize("name", EQUALS)
async def test_names_of_symbols_only_are_found_by_their_symbols(shelf: Shelf, name: str) -> None:
    """They fold to nothing, and a filter of which nothing remains must not let everything through."""
    await shelf.put({"title": "One", name: "A"}, {"title": "Two", name: "!!%"}, {"title": "Three", name: "A!!%"})
    found = {text: await shelf.found(**{f"{name}~": text}) - {"One"} for text in ("!!", "%", " !!% ", "_", "?", "🔥")}
    own = "!!%" if name == "title" else "Two"
    assert found == {"!!": {own}, "%": {own}, " !!% ": {own}, "_": set(), "?": set(), "🔥": set()}
    assert await shelf.found(**{name: "!!%"}) == {own}


async def test_artists_and_genres_are_found_under_each_of_several(shelf: Shelf) -> None:
    await shelf.put(
        {"title": "Both", "artist": "A & B", "artists": ("A", "B"), "genres": ("House", "Tech House")},
        {"title": "One", "artist": "B", "genres": ("House",)},
    )
    assert await shelf.found(artist="b") == {"Both", "One"}
    assert await shelf.found(artist="a") == {"Both"}
    assert await shelf.found(artist="A & B") == {"Both"}
    assert await shelf.found(genre="tech house") == {"Both"}
    assert await shelf.found(genre="HOUSE") == {"Both", "One"}
    assert await shelf.found(**{"genre~": "tech"}) == {"Both"}


async def test_filters_combine_with_and(shelf: Shelf) -> None:
    await shelf.put(
        {"title": "yes", "genre": "House", "bpm": 120.0},
        {"title": "slow", "genre": "House", "bpm": 90.0},
        {"title": "other", "genre": "Techno", "bpm": 120.0},
    )
    assert await shelf.found(genre="House", bpm_min=100) == {"yes"}


_COLUMN_OF = {
    "bpm": "tag_bpm", "rating": "tag_rating", "energy_level": "tag_energy_level", "duration": "duration_seconds",
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(RANGES))
async def test_ranges_include_both_ends_and_no_missing_value(shelf: Shelf, name: str) -> None:
    column = _COLUMN_OF.get(name, name)
    await shelf.put(
        *({"title": str(value), "row": {column: value}} for value in (1, 2, 3)),
        {"title": "none", "row": {} if name == "play_count" else {column: None}},
    )
    assert await shelf.found(**{f"{name}_min": 2, f"{name}_max": 3}) == {"2", "3"}
    assert await shelf.found(**{f"{name}_min": 3}) == {"3"}
    low = {"none", "1"} if name == "play_count" else {"1"}
    assert await shelf.found(**{f"{name}_max": 1}) == low


@pytest.fixture
async def keys(shelf: Shelf) -> Shelf:
    await shelf.put(
        *({"title": text, "key": text} for text in ("8A", "7A", "9A", "8B", "1A", "12A", "1B", "2A")), {"title": "none"}
    )
    return shelf


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"camelot": "8A"}, {"8A"}),
        ({"camelot": "am"}, {"8A"}),
        ({"camelot": ["8A", "8B"]}, {"8A", "8B"}),
        ({"key": 9, "mode": 0}, {"8A"}),
        ({"key": 0}, {"8B"}),
        ({"key": [9, 0]}, {"8A", "8B"}),
        ({"mode": 1}, {"8B", "1B"}),
        ({"compatible_with": "8A"}, {"8A", "7A", "9A", "8B"}),
        ({"compatible_with": "1A"}, {"1A", "12A", "2A", "1B"}),
        ({"compatible_with": "8A", "mode": 1}, {"8B"}),
    ],
)
async def test_keys(keys: Shelf, params: dict[str, Any], expected: set[str]) -> None:
    assert await keys.found(**params) == expected


async def test_dates(shelf: Shelf) -> None:
    days = {"first": "2026-01-01", "second": "2026-01-02", "third": "2026-01-03"}
    moments = {"first": 1_767_225_600_000, "second": 1_767_312_000_000, "third": 1_767_398_400_000}
    await shelf.put(
        *({"title": title, "row": {"date_added": ms, "last_played": ms}} for title, ms in moments.items()),
        {"title": "unplayed"},
    )
    assert await shelf.found(added_after=days["first"]) == {"second", "third"}
    assert await shelf.found(added_after="2026-01-01T00:00:00Z", added_before=days["third"]) == {"second"}
    assert await shelf.found(last_played_before=days["second"]) == {"first"}
    assert await shelf.found(last_played_after="2026-01-01T23:59:59.999Z") == {"second", "third"}
    assert await shelf.found(never_played=True) == {"unplayed"}
    assert await shelf.found(never_played=False) == {"first", "second", "third"}


async def test_path_prefix_is_a_folder_or_the_beginning_of_a_name(shelf: Shelf) -> None:
    await shelf.put(
        {"title": "in", "path": "House/2026/a.mp3"},
        {"title": "beside", "path": "House 2/a.mp3"},
        {"title": "percent", "path": "100%/a.mp3"},
        {"title": "odd", "path": "100x/a.mp3"},
    )
    assert await shelf.found(path_prefix="House/") == {"in"}
    assert await shelf.found(path_prefix="House") == {"in"}
    assert await shelf.found(path_prefix="House/2026") == {"in"}
    assert await shelf.found(path_prefix="100%") == {"percent"}
    assert await shelf.found(path_prefix=["House", "House 2"]) == {"in", "beside"}
    assert await shelf.found(path_prefix="house") == set()


async def test_missing_files_and_missing_media(shelf: Shelf) -> None:
    await shelf.put(*named(["here", "gone"]))
    async with shelf.mismo.app.uow() as tx:
        row = await shelf.mismo.app.tracks.row(shelf.ids["gone"])
        await shelf.mismo.app.tracks.mark_missing(tx, [row["pk"]])
    assert await shelf.found(is_missing=True) == {"gone"}
    assert await shelf.found(is_missing=False) == {"here"}
    async with shelf.mismo.app.uow() as tx:
        unplugged = Location(shelf.directory, ROOT, Missing.MEDIA, 5)
        await shelf.mismo.app.tracks.put_location(tx, unplugged)
    await shelf.patch("here", rating=1)
    assert await shelf.found(is_missing=True) == {"here", "gone"}
    assert await shelf.found(is_missing=False) == set()
    assert (await shelf.get("here"))["missing_reason"] == "media"


async def test_flags(shelf: Shelf) -> None:
    await shelf.put(
        {"title": "yes", "has_artwork": True, "row": {"is_analyzed": 1, "is_favorite": 1, "duplicate_group_id": "g"}},
        {"title": "no"},
    )
    for name in ("has_artwork", "is_analyzed", "is_favorite", "is_duplicate"):
        assert await shelf.found(**{name: True}) == {"yes"}, name
        assert await shelf.found(**{name: False}) == {"no"}, name
    assert await shelf.found(duplicate_group_id="g") == {"yes"}


async def test_format_library_colour_tag_and_ids(shelf: Shelf) -> None:
    one, two, three = await shelf.put(
        {"title": "one", "path": "a.FLAC", "row": {"color_tag": "red", "tags": '["Peak Time","x"]'}},
        {"title": "two", "path": "b.mp3", "row": {"color_tag": "blue", "tags": '["x"]'}},
        {"title": "three", "path": "c.wav"},
    )
    other = Shelf(shelf.mismo)
    await other.open()
    await other.put({"title": "elsewhere", "path": "a.ogg"})
    assert await shelf.found(format="flac") == {"one"}
    assert await shelf.found(format=["flac", "MP3"]) == {"one", "two"}
    assert await shelf.found(library_id=other.directory) == {"elsewhere"}
    assert await shelf.found(library_id=[shelf.directory, other.directory]) == {"one", "two", "three", "elsewhere"}
    assert await shelf.found(color_tag=["red", "blue"]) == {"one", "two"}
    assert await shelf.found(tag="peak time") == {"one"}
    assert await shelf.found(tag=["peak time", "x"]) == {"one", "two"}
    assert await shelf.found(ids=f"{one},{three}") == {"one", "three"}
    assert await shelf.found(ids=[one, two]) == {"one", "two"}
    assert await shelf.found(ids=ids.new_id()) == set()


async def test_empty_list_of_ids_selects_nothing(shelf: Shelf) -> None:
    """A client that builds the list must not get the whole library for an empty one."""
    await shelf.put(*named(["one"]))
    assert await shelf.found(ids="") == set()


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"gnre": "House"}, "gnre"),
        ({"bpm_min": "fast"}, "bpm_min"),
        ({"bpm_min": "nan"}, "bpm_min"),
        ({"camelot": "13A"}, "camelot"),
        ({"key": 12}, "key"),
        ({"sort": "colour"}, "sort"),
        ({"sort": "--bpm"}, "sort"),
        ({"order": "up"}, "order"),
        ({"is_missing": "perhaps"}, "is_missing"),
        ({"added_after": "yesterday"}, "added_after"),
        ({"limit": 0}, "limit"),
        ({"limit": 1001}, "limit"),
        ({"page": 0}, "page"),
        ({"bpm_min": [1, 2]}, "bpm_min"),
        ({"format~": "mp"}, "format~"),
        ({"year_min": 10**30}, "year_min"),
    ],
)
async def test_wrong_parameter_is_refused_by_name(shelf: Shelf, params: dict[str, Any], field: str) -> None:
    assert (await shelf.refused(**params)).split("[")[0] == field


async def test_search_and_facets_know_the_same_filters(shelf: Shelf) -> None:
    await shelf.put({"title": "one night", "bpm": 100.0}, {"title": "two nights", "bpm": 140.0})
    assert await shelf.search("night", bpm_min=120) == ["two nights"]
    facets = await shelf.mismo.client.get("/api/tracks/facets", fields="artist,format", bpm_min=120)
    assert facets["data"]["format"] == [{"value": "mp3", "count": 1}]
    assert await shelf.refused("/api/tracks/search", q="x", bogus=1) == "bogus"
    assert await shelf.refused("/api/tracks/facets", fields="bogus") == "fields"


def test_every_filter_of_the_contract_is_there() -> None:
    contract = {
        "key", "mode", "camelot", "compatible_with", "added_after", "added_before", "last_played_after",
        "last_played_before", "never_played", "format", "library_id", "path_prefix", "is_missing", "is_analyzed",
        "is_favorite", "color_tag", "tag", "has_artwork", "duplicate_group_id", "is_duplicate", "ids",
        *EQUALS, *(f"{name}_{end}" for name in RANGES for end in ("min", "max")),
    }  # fmt: skip
    assert contract <= NAMES
