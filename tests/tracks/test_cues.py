"""Hot cues: eight for each source, one shown for each index, every change told."""

from __future__ import annotations

from typing import Any

import pytest

from server import ids
from server.tracks.cue import Cue, CueSource, merged
from tests.tracks.shelf import Shelf, named


@pytest.fixture
async def path(shelf: Shelf) -> str:
    (track_id,) = await shelf.put(*named(["one"]))
    return f"/api/tracks/{track_id}/hot-cues"


async def test_cue_is_set_shown_and_taken_away(shelf: Shelf, path: str) -> None:
    client = shelf.mismo.client
    async with shelf.mismo.socket("cue:*") as socket:
        cue = (await client.put(f"{path}/3", {"position": 12.5, "name": "Drop", "color": "#f00"}))["data"]
        assert cue == {
            "index": 3, "source": "user", "position": 12.5, "name": "Drop", "color": "#f00", "is_loop": False,
            "loop_end": None,
        }  # fmt: skip
        assert (await client.get(f"{path}/3"))["data"] == cue
        assert (await client.get(path))["data"] == [cue]
        assert (await shelf.get("one"))["hot_cues"] == [cue]
        await client.put(f"{path}/3", {"position": 12.5, "name": "Drop", "color": "#f00"})
        assert (await client.delete(f"{path}/3"))["data"] == {"deleted": 1}
        await socket.named("cue:deleted")
    told = {"track_id": shelf.ids["one"], "cue": cue}
    assert [(event["event"], event["data"]) for event in socket.events] == [
        ("cue:updated", told),
        ("cue:deleted", told),
    ]
    assert (await shelf.get("one"))["hot_cues"] == []
    await client.get(f"{path}/3", status=404)
    await client.delete(f"{path}/3", status=404)


async def test_sources_stand_beside_each_other_and_readers_get_the_preferred(shelf: Shelf, path: str) -> None:
    client = shelf.mismo.client
    for position, source in enumerate(reversed(CueSource)):
        await client.put(f"{path}/0", {"position": position, "source": source})
        assert [cue["source"] for cue in (await client.get(path))["data"]] == [source]
    for source in CueSource:
        assert [cue["source"] for cue in (await client.get(path, source=source))["data"]] == [source]
    await client.delete(f"{path}/0?source=user")
    assert (await client.get(f"{path}/0"))["data"]["source"] == "engine"
    await client.put(f"{path}/7", {"position": 1, "source": "virtual dj"})
    assert [cue["index"] for cue in (await client.get(path))["data"]] == [0, 7]


async def test_all_cues_of_a_source_are_replaced_at_once(shelf: Shelf, path: str) -> None:
    client = shelf.mismo.client
    eight = [{"index": index, "position": index + 0.5} for index in range(8)]
    await client.put(path, {"source": "serato", "cues": eight})
    await client.put(f"{path}/1", {"position": 9})
    loop = {"index": 0, "position": 2, "is_loop": True, "loop_end": 4}
    cues = (await client.put(path, {"source": "serato", "cues": [loop]}))["data"]
    assert [(cue["index"], cue["is_loop"], cue["loop_end"]) for cue in cues] == [(0, True, 4)]
    assert [cue["source"] for cue in (await client.get(path))["data"]] == ["serato", "user"]
    assert (await client.delete(f"{path}?source=serato"))["data"] == {"deleted": 1}
    assert (await client.delete(f"{path}?source=serato"))["data"] == {"deleted": 0}


async def test_cue_of_the_engine_moves_the_users_and_takes_it_away(shelf: Shelf, path: str) -> None:
    client, cues = shelf.mismo.client, shelf.mismo.app.cues
    track_id = shelf.ids["one"]
    await client.put(f"{path}/2", {"position": 5, "name": "Mine", "is_loop": True, "loop_end": 6})
    await cues.set_by_engine(track_id, 2, 8.0)
    (shown,) = await cues.merged(track_id)
    assert (shown["source"], shown["position"], shown["name"], shown["is_loop"]) == ("user", 8.0, "Mine", False)
    await cues.set_by_engine(track_id, 4, 1.0)
    assert [cue["source"] for cue in await cues.merged(track_id)] == ["user", "engine"]
    await cues.removed_by_engine(track_id, 2)
    assert [cue["index"] for cue in await cues.merged(track_id)] == [4]


@pytest.mark.parametrize(
    ("method", "below", "body", "field"),
    [
        ("PUT", "/8", {"position": 1}, "index"),
        ("PUT", "/x", {"position": 1}, "index"),
        ("PUT", "/１", {"position": 1}, "index"),
        ("PUT", "/1", {}, "position"),
        ("PUT", "/1", {"position": -1}, "position"),
        ("PUT", "/1", {"position": "1"}, "position"),
        ("PUT", "/1", {"position": 1, "is_loop": True}, "loop_end"),
        ("PUT", "/1", {"position": 1, "is_loop": True, "loop_end": 1}, "loop_end"),
        ("PUT", "/1", {"position": 1, "source": "winamp"}, "source"),
        ("PUT", "/1", {"position": 1, "colour": "x"}, "colour"),
        ("PUT", "", {"cues": [{"index": 1, "position": 1}] * 2}, "cues"),
        ("PUT", "", {"cues": [{"index": 8, "position": 1}]}, "cues[0].index"),
        ("DELETE", "/1?source=winamp", None, "source"),
        ("GET", "?sauce=user", None, "sauce"),
    ],
)
async def test_wrong_cue_is_refused_by_name(
    shelf: Shelf, path: str, method: str, below: str, body: Any, field: str
) -> None:
    answer = await shelf.mismo.client.request(method, path + below, body)
    assert (answer.status, answer.json["errors"][0]["field"]) == (422, field)


async def test_cues_go_with_their_track(shelf: Shelf, path: str) -> None:
    await shelf.mismo.client.put(f"{path}/1", {"position": 1})
    await shelf.mismo.client.delete(f"/api/tracks/{shelf.ids['one']}")
    await shelf.mismo.client.get(path, status=404)
    assert await shelf.mismo.app.cues.merged(shelf.ids["one"]) == []
    await shelf.mismo.client.put(f"/api/tracks/{ids.new_id()}/hot-cues/1", {"position": 1}, status=404)


def test_merging_prefers_user_then_engine_then_the_others() -> None:
    cues = [Cue(1, source, 1.0) for source in reversed(CueSource)] + [Cue(0, CueSource.TRAKTOR, 2.0)]
    assert [(cue.index, cue.source) for cue in merged(cues)] == [(0, CueSource.TRAKTOR), (1, CueSource.USER)]
