"""Smart playlists: what they hold, when they are looked at again, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from server.clock import to_rfc3339
from server.config import Config
from tests.playlists.clock import START, StoppedClock, marked, refreshed, running_at
from tests.playlists.library import fill
from tests.support.application import Running

DAY = 86_400_000


async def smart(mismo: Running, name: str = "Smart", **criteria: Any) -> dict[str, Any]:
    body = {"name": name, "type": "smart", "criteria": criteria}
    answer: dict[str, Any] = (await mismo.client.post("/api/playlists", body, status=201))["data"]
    return answer


async def titles(mismo: Running, playlist_id: str) -> list[str]:
    found = (await mismo.client.get(f"/api/playlists/{playlist_id}"))["data"]["entries"]
    return [entry["track"]["title"] for entry in found]


async def test_flat_and_nested_criteria_fill_a_list_at_once(mismo: Running) -> None:
    await fill(
        mismo.app,
        [
            {"title": "A", "bpm": 125.0, "genre": "Techno", "energy": 0.3, "duration_seconds": 100.0},
            {"title": "B", "bpm": 129.0, "genre": "House", "energy": 0.9, "duration_seconds": 100.0},
            {"title": "C", "bpm": 140.0, "genre": "House", "energy": 0.7, "duration_seconds": 100.0},
            {"title": "D", "bpm": 126.0, "genre": "Pop", "tags": '["peak"]', "energy": None},
        ],
    )
    flat = await smart(mismo, bpm_min=124, bpm_max=130, genres=["techno", "HOUSE"])
    assert (flat["track_count"], flat["total_duration"]) == (2, 200.0)
    assert await titles(mismo, flat["id"]) == ["A", "B"]
    nested = await smart(
        mismo,
        all=[
            {"field": "bpm", "op": "between", "value": [124, 130]},
            {"any": [
                {"field": "genre", "op": "in", "value": ["Techno", "House"]},
                {"field": "tags", "op": "includes", "value": "Peak"},
            ]},
            {"not": {"field": "id", "op": "in_playlist", "value": flat["id"]}},
        ],
    )  # fmt: skip
    assert await titles(mismo, nested["id"]) == ["D"]
    by_energy = await smart(mismo, all=[], sort=["-energy"], limit=250, limit_by="duration")
    assert await titles(mismo, by_energy["id"]) == ["B", "C"]
    await mismo.client.post(f"/api/playlists/{flat['id']}/tracks", {"track_ids": [flat["id"]]}, status=409)


@pytest.mark.parametrize(
    ("criteria", "place"),
    [
        ({"all": [{"field": "bpm", "op": "gt", "value": 1}, {"any": [{"field": "bpm", "op": "contains"}]}]},
         "all[1].any[0].op"),
        ({"all": [{"not": {"field": "tempo", "op": "is", "value": 1}}]}, "all[0].not.field"),
        ({"all": [{"field": "bpm", "op": "between", "value": [130, 120]}]}, "all[0].value"),
        ({"any": [{"field": "last_played", "op": "in_last", "value": "30 moons"}]}, "any[0].value"),
        ({"bpm_mni": 120}, "bpm_mni"),
        ({"bpm_min": "fast"}, "bpm_min"),
        ({"all": [], "sort": ["-groove"]}, "sort[0]"),
        ({"all": [], "limit": 0}, "limit"),
        ({"all": [{"field": "bpm", "op": "gt", "value": 1, "extra": 1}]}, "all[0].extra"),
        ({"all": [{"field": "id", "op": "in_playlist", "value": "00000000-0000-7000-8000-000000000000"}]},
         "all[0].value"),
        ({"not": {"field": "id", "op": "similar_to", "value": "00000000-0000-7000-8000-000000000000"}}, "not.value"),
        ({}, "criteria"),
        ({"bpm_min": None, "genres": None}, "criteria"),
    ],
)  # fmt: skip
async def test_wrong_criteria_are_refused_at_their_place(mismo: Running, criteria: Any, place: str) -> None:
    body = {"name": "Wrong", "type": "smart", "criteria": criteria}
    problem = await mismo.client.post("/api/playlists", body, status=422)
    assert problem["errors"][0]["field"] == place
    assert (await mismo.client.get("/api/playlists"))["data"] == []


async def test_lists_never_depend_on_themselves(mismo: Running) -> None:
    first = await smart(mismo, "First", all=[])
    second = await smart(mismo, "Second", all=[{"field": "id", "op": "in_playlist", "value": first["id"]}])
    third = await smart(mismo, "Third", all=[{"not": {"field": "id", "op": "in_playlist", "value": second["id"]}}])
    for other in (first, second, third):
        criteria = {"any": [{"not": {"field": "id", "op": "in_playlist", "value": other["id"]}}]}
        problem = await mismo.client.put(f"/api/playlists/{first['id']}", {"criteria": criteria}, status=422)
        assert problem["errors"][0]["field"] == "any[0].not.value"


async def looked_at(mismo: Running, playlist: dict[str, Any]) -> str:
    """When a list was last compared with its criteria, as the clock stood."""
    found = (await mismo.client.get(f"/api/playlists/{playlist['id']}", include_tracks=False))["data"]
    return str(found["last_refreshed"])


async def test_only_concerned_lists_are_evaluated_five_quiet_seconds_later(config: Config) -> None:
    clock = StoppedClock()
    async with running_at(config, clock) as mismo:
        tracks = await fill(mismo.app, [{"title": f"T{n}", "bpm": 120.0 + n} for n in range(4)])
        fast = await smart(mismo, "Fast", bpm_min=122)
        liked = await smart(mismo, "Liked", rating_min=4)
        clock.pass_seconds(60)
        await refreshed(mismo)
        before, before_liked = await looked_at(mismo, fast), await looked_at(mismo, liked)
        await mismo.client.patch(f"/api/tracks/{tracks[0]}", {"bpm": 150})
        clock.pass_seconds(4)
        await refreshed(mismo)
        await mismo.client.patch(f"/api/tracks/{tracks[3]}", {"bpm": 100})
        clock.pass_seconds(4.9)
        await refreshed(mismo)
        assert await looked_at(mismo, fast) == before
        clock.pass_seconds(0.1)
        seq = mismo.app.log.seq
        await refreshed(mismo)
        assert await looked_at(mismo, fast) == to_rfc3339(clock.now)
        assert await looked_at(mismo, liked) == before_liked
        (event,) = [item for item in await mismo.app.log.read(seq) if item.name.startswith("playlist:")]
        assert event.data == {"playlist_id": fast["id"], "added": [tracks[0]], "removed": [tracks[3]], "total": 2}
        assert await titles(mismo, fast["id"]) == ["T0", "T2"]


async def test_a_stream_of_changes_is_looked_at_after_thirty_seconds(config: Config) -> None:
    clock = StoppedClock()
    async with running_at(config, clock) as mismo:
        (track,) = await fill(mismo.app, [{}])
        rated = await smart(mismo, rating_min=5)
        clock.pass_seconds(60)
        await refreshed(mismo)
        looks = {await looked_at(mismo, rated)}
        begun = clock.now
        for second in range(33):
            await mismo.client.patch(f"/api/tracks/{track}", {"rating": second % 5 + 1})
            await marked(mismo)
            clock.pass_seconds(1)
            await refreshed(mismo)
            looks.add(await looked_at(mismo, rated))
        assert sorted(looks)[1:] == [to_rfc3339(begun + 30_000)]


async def test_a_bulk_edit_refreshes_each_list_once(config: Config) -> None:
    clock = StoppedClock()
    async with running_at(config, clock) as mismo:
        tracks = await fill(mismo.app, [{} for _ in range(1200)])
        lists = [await smart(mismo, f"L{n}", rating_min=n) for n in (3, 4, 5)]
        clock.pass_seconds(60)
        await refreshed(mismo)
        seq = mismo.app.log.seq
        await mismo.client.post("/api/tracks/bulk", {"ids": tracks, "set": {"rating": 4}})
        await marked(mismo)
        clock.pass_seconds(5)
        await refreshed(mismo)
        assert {await looked_at(mismo, item) for item in lists} == {to_rfc3339(clock.now)}
        events = [item for item in await mismo.app.log.read(seq) if item.name == "playlist:smart:refreshed"]
        assert [(len(item.data["added"]), item.data["total"]) for item in events] == [(1200, 1200)] * 2


async def test_a_list_follows_the_one_it_refers_to(config: Config) -> None:
    clock = StoppedClock()
    async with running_at(config, clock) as mismo:
        (track,) = await fill(mismo.app, [{"title": "T", "rating": 1}])
        inner = await smart(mismo, "Inner", rating_min=4)
        outer = await smart(mismo, "Outer", all=[{"field": "id", "op": "in_playlist", "value": inner["id"]}])
        await mismo.client.patch(f"/api/tracks/{track}", {"rating": 5})
        await marked(mismo)
        clock.pass_seconds(5)
        await refreshed(mismo)
        assert await titles(mismo, outer["id"]) == ["T"]


async def test_time_alone_moves_tracks(config: Config) -> None:
    clock = StoppedClock()
    async with running_at(config, clock) as mismo:
        await fill(mismo.app, [{"title": "Recent", "last_played": START - 29 * DAY}, {"title": "Never"}])
        resting = await smart(mismo, all=[{"field": "last_played", "op": "not_in_last", "value": "30d"}])
        assert await titles(mismo, resting["id"]) == ["Never"]
        await mismo.app.refresher.adopt()
        clock.pass_seconds(2 * 86400)
        await refreshed(mismo)
        assert await titles(mismo, resting["id"]) == ["Recent", "Never"]


async def test_missing_tracks_stay_and_deleted_ones_go(mismo: Running) -> None:
    tracks = await fill(mismo.app, [{"title": "A"}, {"title": "B"}])
    playlist = await smart(mismo, all=[])
    async with mismo.app.uow() as tx:
        rows = await mismo.app.tracks.by_ids(tx, [tracks[0]])
        await mismo.app.tracks.mark_missing(tx, [rows[0]["pk"]])
    assert (await mismo.client.post(f"/api/playlists/{playlist['id']}/refresh"))["data"]["removed"] == []
    async with mismo.socket("playlist:*") as socket:
        await mismo.client.delete(f"/api/tracks/{tracks[0]}")
        event = await socket.named("playlist:smart:refreshed")
    assert (event["data"]["removed"], event["data"]["total"]) == ([tracks[0]], 1)
    assert await titles(mismo, playlist["id"]) == ["B"]


async def test_preview_stores_nothing_and_convert_keeps_the_tracks(mismo: Running) -> None:
    await fill(mismo.app, [{"title": "A", "bpm": 124.0}, {"title": "B", "bpm": 90.0}])
    preview = (await mismo.client.post("/api/playlists/preview", {"criteria": {"bpm_min": 100}}))["data"]
    assert (preview["count"], [track["title"] for track in preview["tracks"]]) == (1, ["A"])
    assert preview["explanation"] == "Tracks: at least 100 BPM."
    assert (await mismo.client.get("/api/playlists"))["data"] == []
    playlist = await smart(mismo, bpm_min=100)
    converted = (await mismo.client.post(f"/api/playlists/{playlist['id']}/convert"))["data"]
    assert (converted["type"], converted["criteria"]) == ("static", None)
    assert await titles(mismo, playlist["id"]) == ["A"]


async def test_explanations_are_what_a_dj_would_say(mismo: Running) -> None:
    tracks = await fill(mismo.app, [{"title": "A", "bpm": 118.0, "genre": "Techno"}, {"title": "B", "bpm": 126.0}])
    played = await mismo.client.post("/api/playlists", {"name": "Played out", "track_ids": [tracks[0]]}, status=201)
    playlist = await smart(
        mismo,
        all=[
            {"field": "bpm", "op": "between", "value": [124, 130]},
            {"any": [
                {"field": "genre", "op": "in", "value": ["Techno", "House"]},
                {"field": "tags", "op": "includes", "value": "peak"},
                {"field": "genre", "op": "is_missing"},
            ]},
            {"not": {"field": "id", "op": "in_playlist", "value": played["data"]["id"]}},
            {"field": "last_played", "op": "not_in_last", "value": "30d"},
        ],
        sort=["-energy", "bpm"], limit=100,
    )  # fmt: skip
    path = f"/api/playlists/{playlist['id']}/explain"
    assert (await mismo.client.get(path))["data"]["explanation"] == (
        "Tracks: between 124 and 130 BPM, (either Techno or House or tagged peak or without a genre), not in “Played"
        " out”, not played in the last 30 days; highest energy first, then slowest first; at most 100 tracks."
    )
    out = (await mismo.client.get(path, track_id=tracks[0]))["data"]
    assert out["included"] is False
    assert out["explanation"] == "Out: not between 124 and 130 BPM (118 BPM); in “Played out”."
    included = (await mismo.client.get(path, track_id=tracks[1]))["data"]
    assert included["included"] is True
    assert included["reasons"][0] == "between 124 and 130 BPM (126 BPM)"


@pytest.mark.parametrize(
    ("field", "op", "value", "said"),
    [
        ("title", "not_contains", "remix", "title doesn't contain “remix”"),
        ("genre", "starts_with", "Deep", "genre starts with “Deep”"),
        ("bpm", "in", [120, 121.5], "120 or 121.5 BPM"),
        ("bpm", "not_in", [120, 128], "not 120 or 128 BPM"),
        ("musical_key", "is", 9, "tonic A"),
        ("bit_rate", "gte", 320_000, "bit rate at least 320 kbit/s"),
        ("sample_rate", "between", [44_100, 48_000], "sample rate between 44.1 and 48 kHz"),
        ("has_stems", "is", False, "without stems"),
        ("is_missing", "is_not", True, "not missing"),
        ("genre", "is_present", None, "with a genre"),
        ("library_directory_id", "is", "", "library directory “Club Music”"),
        ("tags", "excludes", ["peak", "intro"], "not tagged peak or intro"),
        ("last_played", "in_last", "1w", "played in the last week"),
        ("duration", "lt", 300, "length less than 5:00 min"),
    ],
)
async def test_each_condition_is_said_in_words(mismo: Running, field: str, op: str, value: Any, said: str) -> None:
    (track,) = await fill(mismo.app, [{}], root=b"/music/Club Music")
    if field == "library_directory_id":
        value = (await mismo.client.get(f"/api/tracks/{track}"))["data"][field]
    criteria = {"all": [{"field": field, "op": op, "value": value}]}
    preview = (await mismo.client.post("/api/playlists/preview", {"criteria": criteria}))["data"]
    assert preview["explanation"] == f"Tracks: {said}."


async def test_a_smart_list_is_read_only_and_takes_itself_back(mismo: Running) -> None:
    """What a client has read, it may send again, also when a list that the criteria refer to is gone."""
    inner = await smart(mismo, "Inner", bpm_min=120)
    outer = await smart(mismo, "Outer", all=[{"field": "id", "op": "in_playlist", "value": inner["id"]}])
    assert outer["is_readonly"] is True
    await mismo.client.delete(f"/api/playlists/{inner['id']}")
    again = {name: outer[name] for name in ("criteria", "is_readonly", "parent_id", "is_favorite")}
    renamed = (await mismo.client.put(f"/api/playlists/{outer['id']}", {**again, "name": "Renamed"}))["data"]
    assert (renamed["name"], renamed["criteria"]) == ("Renamed", outer["criteria"])
    problem = await mismo.client.put(f"/api/playlists/{outer['id']}", {"is_readonly": False}, status=422)
    assert problem["errors"][0]["field"] == "is_readonly"
    converted = (await mismo.client.post(f"/api/playlists/{outer['id']}/convert"))["data"]
    assert converted["is_readonly"] is False
