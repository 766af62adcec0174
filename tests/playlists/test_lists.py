"""Playlists, folders and entries from outside: REST in, lists and events out."""

from __future__ import annotations

from typing import Any

from tests.playlists.library import fill
from tests.support.application import Running


async def made(mismo: Running, **body: Any) -> dict[str, Any]:
    answer: dict[str, Any] = (await mismo.client.post("/api/playlists", {"name": "List", **body}, status=201))["data"]
    return answer


async def entries_of(mismo: Running, playlist_id: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await mismo.client.get(f"/api/playlists/{playlist_id}"))["data"]["entries"]
    assert [entry["position"] for entry in found] == list(range(len(found)))
    return found


async def order_of(mismo: Running, playlist_id: str, tracks: list[str]) -> list[int]:
    """The list as indexes into `tracks`."""
    return [tracks.index(entry["track_id"]) for entry in await entries_of(mismo, playlist_id)]


async def test_tracks_stand_in_order_with_their_resources(mismo: Running) -> None:
    tracks = await fill(mismo.app, [{"title": f"T{n}", "duration_seconds": 60.5} for n in range(3)])
    playlist = await made(mismo, track_ids=[tracks[2], tracks[0], tracks[2]])
    assert (playlist["type"], playlist["track_count"], playlist["total_duration"]) == ("static", 3, 181.5)
    found = await entries_of(mismo, playlist["id"])
    assert [entry["track"]["title"] for entry in found] == ["T2", "T0", "T2"]
    assert len({entry["entry_id"] for entry in found}) == 3
    plain = (await mismo.client.get(f"/api/playlists/{playlist['id']}", include_tracks=False))["data"]
    assert "entries" not in plain


async def test_tracks_are_put_in_where_they_are_wanted(mismo: Running) -> None:
    tracks = await fill(mismo.app, [{} for _ in range(5)])
    playlist = await made(mismo, track_ids=tracks[:3])
    path = f"/api/playlists/{playlist['id']}/tracks"
    added = (await mismo.client.post(path, {"track_ids": tracks[3:], "position": 1, "notes": "peak"}, status=201))[
        "data"
    ]
    assert [(entry["position"], entry["notes"]) for entry in added] == [(1, "peak"), (2, "peak")]
    assert await order_of(mismo, playlist["id"], tracks) == [0, 3, 4, 1, 2]
    problem = await mismo.client.post(path, {"track_ids": [tracks[0]], "position": 6}, status=422)
    assert problem["errors"][0]["field"] == "position"
    unknown = "00000000-0000-7000-8000-000000000000"
    problem = await mismo.client.post(path, {"track_ids": [tracks[0], unknown]}, status=422)
    assert problem["errors"][0]["field"] == "track_ids[1]"


async def test_one_entry_moves_and_the_others_keep_their_order(mismo: Running) -> None:
    tracks = await fill(mismo.app, [{} for _ in range(6)])
    playlist = await made(mismo, track_ids=tracks)
    path = f"/api/playlists/{playlist['id']}/tracks/reorder"
    expected = list(range(6))
    for source, target in ((0, 5), (5, 0), (2, 3), (3, 2), (1, 4), (4, 4)):
        entry = (await entries_of(mismo, playlist["id"]))[source]
        await mismo.client.put(path, {"entry_id": entry["entry_id"], "position": target})
        expected.insert(target, expected.pop(source))
        assert await order_of(mismo, playlist["id"], tracks) == expected


async def test_moving_to_one_place_forever_never_runs_out_of_room(mismo: Running) -> None:
    tracks = await fill(mismo.app, [{} for _ in range(4)])
    playlist = await made(mismo, track_ids=tracks)
    path = f"/api/playlists/{playlist['id']}/tracks/reorder"
    expected = list(range(4))
    for _ in range(80):
        entry = (await entries_of(mismo, playlist["id"]))[3]
        await mismo.client.put(path, {"entry_id": entry["entry_id"], "position": 1})
        expected.insert(1, expected.pop(3))
    assert await order_of(mismo, playlist["id"], tracks) == expected


async def test_reordering_takes_exactly_the_present_tracks(mismo: Running) -> None:
    tracks = await fill(mismo.app, [{} for _ in range(3)])
    playlist = await made(mismo, track_ids=[tracks[0], tracks[1], tracks[0]])
    path = f"/api/playlists/{playlist['id']}/tracks/reorder"
    before = await entries_of(mismo, playlist["id"])
    await mismo.client.put(path, {"track_ids": [tracks[0], tracks[0], tracks[1]]})
    after = await entries_of(mismo, playlist["id"])
    assert [entry["entry_id"] for entry in after] == [before[n]["entry_id"] for n in (0, 2, 1)]
    for wrong in ([tracks[0], tracks[1]], [tracks[0], tracks[1], tracks[1]], [*tracks], [tracks[0]] * 4):
        await mismo.client.put(path, {"track_ids": wrong}, status=422)
    await mismo.client.put(path, {"track_ids": tracks, "position": 1}, status=422)


async def test_what_is_said_about_an_entry_stays_with_it(mismo: Running) -> None:
    tracks = await fill(mismo.app, [{} for _ in range(2)])
    playlist = await made(mismo, track_ids=[tracks[0], tracks[1], tracks[0]])
    last = (await entries_of(mismo, playlist["id"]))[2]
    base = f"/api/playlists/{playlist['id']}"
    said = {"notes": "drop at 2:00", "cue_in_ms": 1000, "cue_out_ms": 9000, "rating_in_context": 5}
    answer = (await mismo.client.put(f"{base}/entries/{last['entry_id']}", said))["data"]
    assert {name: answer[name] for name in said} == said
    assert answer["track"]["id"] == tracks[0]
    await mismo.client.put(f"{base}/tracks/{tracks[0]}", {"notes": "first"})
    assert [entry["notes"] for entry in await entries_of(mismo, playlist["id"])] == ["first", None, "drop at 2:00"]
    await mismo.client.put(f"{base}/entries/{last['entry_id']}", {"cue_in_ms": 9000}, status=422)
    await mismo.client.put(f"{base}/entries/{last['entry_id']}", {}, status=422)
    assert (await mismo.client.delete(f"{base}/tracks/{tracks[0]}"))["data"]["entry_id"] != last["entry_id"]
    await mismo.client.delete(f"{base}/entries/{last['entry_id']}")
    assert await order_of(mismo, playlist["id"], tracks) == [1]
    await mismo.client.delete(f"{base}/tracks/{tracks[0]}", status=404)


async def test_folders_hold_lists_but_never_themselves(mismo: Running) -> None:
    outer = await made(mismo, name="Outer", type="folder")
    inner = await made(mismo, name="Inner", type="folder", parent_id=outer["id"])
    playlist = await made(mismo, name="Deep", parent_id=inner["id"])
    for parent in (outer, inner):
        problem = await mismo.client.put(f"/api/playlists/{outer['id']}", {"parent_id": parent["id"]}, status=422)
        assert problem["errors"][0]["field"] == "parent_id"
    await mismo.client.put(f"/api/playlists/{outer['id']}", {"parent_id": playlist["id"]}, status=422)
    await mismo.client.post(f"/api/playlists/{outer['id']}/tracks", {"track_ids": [playlist["id"]]}, status=409)
    top = (await mismo.client.get("/api/playlists", parent_id="root"))["data"]
    assert [item["name"] for item in top] == ["Outer"]
    await mismo.client.delete(f"/api/playlists/{inner['id']}")
    within = (await mismo.client.get("/api/playlists", parent_id=outer["id"]))["data"]
    assert [item["name"] for item in within] == ["Deep"]


async def test_lists_are_filtered_searched_and_paged(mismo: Running) -> None:
    for number in range(5):
        await made(mismo, name=f"Björk {number}", is_favorite=number % 2 == 0, description="Ísland")
    await made(mismo, name="Other", type="folder")
    for nothing in ("!!!", "🔥"):  # which no folded word holds
        assert (await mismo.client.get("/api/playlists", search=nothing))["data"] == []
        assert (await mismo.client.get("/api/playlists/search", q=nothing))["data"] == []
    names = [item["name"] for item in (await mismo.client.get("/api/playlists/search", q="isl bjork"))["data"]]
    assert names == [f"Björk {n}" for n in range(5)]
    liked = await mismo.client.get("/api/playlists", type="static", is_favorite=True, search="bjork")
    assert [item["name"] for item in liked["data"]] == ["Björk 0", "Björk 2", "Björk 4"]
    first = await mismo.client.get("/api/playlists", limit=4)
    second = await mismo.client.get("/api/playlists", limit=4, cursor=first["pagination"]["next_cursor"])
    assert [item["name"] for item in [*first["data"], *second["data"]]] == [*names, "Other"]
    assert (first["pagination"]["total"], second["pagination"]["next_cursor"]) == (6, None)
    await mismo.client.get("/api/playlists", favourite=True, status=422)


async def test_entries_of_long_lists_come_in_pages(mismo: Running) -> None:
    tracks = await fill(mismo.app, [{} for _ in range(7)])
    playlist = await made(mismo, track_ids=tracks)
    path = f"/api/playlists/{playlist['id']}/tracks"
    first = await mismo.client.get(path, limit=3)
    second = await mismo.client.get(path, limit=3, cursor=first["pagination"]["next_cursor"])
    third = await mismo.client.get(path, limit=3, page=3)
    walked = [*first["data"], *second["data"], *third["data"]]
    assert [(entry["position"], entry["track_id"]) for entry in walked] == list(enumerate(tracks))


async def test_duplicate_and_merge_leave_their_sources_alone(mismo: Running) -> None:
    tracks = await fill(mismo.app, [{} for _ in range(4)])
    first = await made(mismo, name="A", track_ids=[tracks[0], tracks[1]])
    second = await made(mismo, name="B", track_ids=[tracks[1], tracks[2], tracks[2]])
    copy = (await mismo.client.post(f"/api/playlists/{first['id']}/duplicate", {"name": "A2"}, status=201))["data"]
    merge = {"source_ids": [second["id"]], "dedupe": True}
    assert (await mismo.client.post(f"/api/playlists/{copy['id']}/merge", merge))["data"]["added"] == 1
    assert await order_of(mismo, copy["id"], tracks) == [0, 1, 2]
    await mismo.client.post(f"/api/playlists/{copy['id']}/merge", {"source_ids": [second["id"]]})
    assert await order_of(mismo, copy["id"], tracks) == [0, 1, 2, 1, 2, 2]
    assert await order_of(mismo, first["id"], tracks) == [0, 1]
    assert await order_of(mismo, second["id"], tracks) == [1, 2, 2]
    folder = await made(mismo, name="Folder", type="folder")
    for wrong in (copy, folder):
        await mismo.client.post(f"/api/playlists/{copy['id']}/merge", {"source_ids": [wrong["id"]]}, status=422)


async def test_thinking_playlist_is_one_and_becomes_a_static_one(mismo: Running) -> None:
    tracks = await fill(mismo.app, [{} for _ in range(3)])
    first = (await mismo.client.get("/api/playlists/thinking"))["data"]
    assert (await mismo.client.get("/api/playlists/thinking"))["data"]["id"] == first["id"]
    await mismo.client.post("/api/playlists/thinking/tracks", {"track_ids": tracks}, status=201)
    removed = await mismo.client.delete("/api/playlists/thinking/tracks", {"track_ids": [tracks[1]]})
    assert removed["data"] == {"removed": 1}
    promoted = (await mismo.client.post("/api/playlists/thinking/promote", {"name": "Friday"}, status=201))["data"]
    assert (promoted["type"], promoted["name"], promoted["track_count"]) == ("static", "Friday", 2)
    fresh = (await mismo.client.get("/api/playlists/thinking"))["data"]
    assert fresh["id"] != first["id"]
    assert fresh["entries"] == []


async def test_stats_are_those_of_the_entries(mismo: Running) -> None:
    tracks = await fill(
        mismo.app,
        [
            {"bpm": 120.0, "duration_seconds": 100.0, "genre": "House", "energy": 0.2, "musical_key": 9, "mode": 0},
            {"bpm": 130.0, "duration_seconds": 50.5, "genre": "House", "energy": 0.8, "musical_key": 0, "mode": 1},
            {"genre": "Techno"},
        ],
    )
    playlist = await made(mismo, track_ids=[*tracks, tracks[1]])
    stats = (await mismo.client.get(f"/api/playlists/{playlist['id']}/stats"))["data"]
    assert (stats["track_count"], stats["total_duration"], stats["missing_count"]) == (4, 201.0, 0)
    assert stats["bpm"] == {"min": 120.0, "max": 130.0, "mean": 380 / 3}
    assert stats["genres"] == [{"value": "House", "count": 3}, {"value": "Techno", "count": 1}]
    assert stats["keys"] == [{"value": "8B", "count": 2}, {"value": "8A", "count": 1}]
    assert [point["energy"] for point in stats["energy_curve"]] == [0.2, 0.8, None, 0.8]


async def test_deleted_track_leaves_the_lists_and_a_missing_one_stays(mismo: Running) -> None:
    tracks = await fill(mismo.app, [{"duration_seconds": 10.0} for _ in range(3)])
    playlist = await made(mismo, track_ids=[tracks[0], tracks[1], tracks[0], tracks[2]])
    async with mismo.app.uow() as tx:
        (row,) = await mismo.app.tracks.by_ids(tx, [tracks[2]])
        await mismo.app.tracks.mark_missing(tx, [row["pk"]])
    async with mismo.socket("playlist:*") as socket:
        await mismo.client.delete(f"/api/tracks/{tracks[0]}")
        removed = await socket.named("playlist:track:removed")
    assert [entry["position"] for entry in removed["data"]["entries"]] == [0, 2]
    assert await order_of(mismo, playlist["id"], tracks) == [1, 2]
    found = await entries_of(mismo, playlist["id"])
    assert [entry["track"]["is_missing"] for entry in found] == [False, True]
    after = (await mismo.client.get(f"/api/playlists/{playlist['id']}", include_tracks=False))["data"]
    assert (after["track_count"], after["total_duration"]) == (2, 20.0)


async def test_same_values_again_announce_nothing(mismo: Running) -> None:
    playlist = await made(mismo, name="Same")
    seq = mismo.app.log.seq
    await mismo.client.put(f"/api/playlists/{playlist['id']}", {"name": "Same", "color": None})
    assert mismo.app.log.seq == seq
