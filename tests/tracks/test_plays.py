"""Loads and plays: what counts, and what a track's history tells."""

from __future__ import annotations

from typing import Any

import pytest

from server import ids
from server.clock import to_rfc3339
from tests.tracks.shelf import Shelf, named

_T0 = 1_750_000_000_000


class Deck:
    def __init__(self, shelf: Shelf, track_id: str, name: str | None = "A"):
        self._client, self._path, self._name = shelf.mismo.client, f"/api/tracks/{track_id}", name

    async def says(self, event: str, seconds: float, **more: Any) -> bool:
        body = {"event": event, "deck": self._name, "at": to_rfc3339(_T0 + round(seconds * 1000)), **more}
        counted: bool = (await self._client.post(f"{self._path}/playback", body))["data"]["counted"]
        return counted


@pytest.fixture
async def track_id(shelf: Shelf) -> str:
    return (await shelf.put(*named(["one"])))[0]


async def test_track_counts_after_so_long_on_air(shelf: Shelf, track_id: str) -> None:
    deck = Deck(shelf, track_id)
    assert not await deck.says("start", 0)
    assert not await deck.says("stop", 29.9)
    assert not await deck.says("start", 100)
    async with shelf.mismo.socket("track:updated") as socket:
        assert await deck.says("stop", 130, position=30.5)
        (told,) = (await socket.named("track:updated"))["data"]["tracks"]
    track = await shelf.get("one")
    assert (track["play_count"], track["last_played"]) == (1, to_rfc3339(_T0 + 130_000))
    assert (told["play_count"], told["last_played"]) == (1, track["last_played"])
    assert await shelf.found(play_count_min=1, never_played=False) == {"one"}


async def test_one_start_counts_once(shelf: Shelf, track_id: str) -> None:
    deck = Deck(shelf, track_id)
    await deck.says("start", 0)
    assert await deck.says("complete", 300)
    assert not await deck.says("stop", 301)
    assert not await deck.says("complete", 400)
    assert (await shelf.get("one"))["play_count"] == 1


async def test_short_track_counts_when_it_completes(shelf: Shelf, track_id: str) -> None:
    deck = Deck(shelf, track_id)
    await deck.says("start", 0)
    assert await deck.says("complete", 5)


async def test_decks_are_told_apart_and_a_stop_without_a_start_counts_nothing(shelf: Shelf, track_id: str) -> None:
    left, right, unnamed = (Deck(shelf, track_id, name) for name in ("A", "B", None))
    await left.says("start", 0)
    assert not await right.says("stop", 100)
    assert not await unnamed.says("complete", 100)
    assert await left.says("stop", 100)


async def test_setting_says_how_long(shelf: Shelf, track_id: str) -> None:
    await shelf.mismo.client.put("/api/settings/played_after_seconds", {"value": 5})
    deck = Deck(shelf, track_id)
    await deck.says("start", 0)
    assert await deck.says("stop", 5)


async def test_history_tells_the_latest_first(shelf: Shelf, track_id: str) -> None:
    client, path = shelf.mismo.client, f"/api/tracks/{track_id}"
    await client.post(f"{path}/load", {"deck": "A", "at": to_rfc3339(_T0 - 1000)})
    deck = Deck(shelf, track_id)
    await deck.says("start", 0)
    await deck.says("stop", 60, position=60)
    history = (await client.get(f"{path}/history"))["data"]
    assert [row["event"] for row in history if row["event"] != "added"] == ["played", "stop", "start", "load"]
    assert history[1] == {"event": "stop", "deck": "A", "position": 60, "at": to_rfc3339(_T0 + 60_000)}
    assert len((await client.get(f"{path}/history", limit=2))["data"]) == 2


@pytest.mark.parametrize(
    "at", ["0007-07-09T22:15:03.512Z", "1969-12-31T23:59:59.999Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59Z"]
)
async def test_absurd_time_of_a_play_is_refused_by_name(shelf: Shelf, track_id: str, at: str) -> None:
    client, path = shelf.mismo.client, f"/api/tracks/{track_id}"
    session = (await client.post("/api/playlists/sessions/start", {}, status=201))["data"]
    play = {"track_id": track_id, "played_at": at}
    for where, body, field in (
        (f"{path}/load", {"at": at}, "at"),
        (f"{path}/playback", {"event": "start", "at": at}, "at"),
        (f"/api/playlists/sessions/{session['id']}/track", play, "played_at"),
    ):
        problem = await client.post(where, body, status=422)
        assert [error["field"] for error in problem["errors"]] == [field]
    assert [row["event"] for row in (await client.get(f"{path}/history"))["data"]] == ["added"]


async def test_play_of_long_ago_is_told_with_its_time(shelf: Shelf, track_id: str) -> None:
    """A library may hold what an older version took in."""
    async with shelf.mismo.app.uow() as tx:
        await shelf.mismo.app.plays.note_within(tx, track_id, "load", "A", -61_900_000_000_000)
    _, told = (await shelf.mismo.client.get(f"/api/tracks/{track_id}/history"))["data"]
    assert told["at"] == "0008-06-19T19:33:20.000Z"


async def test_history_has_room_for_what_others_know(shelf: Shelf, track_id: str) -> None:
    async def moves(asked: str, limit: int) -> list[dict[str, Any]]:
        assert (asked, limit) == (track_id, 100)
        return [{"at": _T0 + 500, "event": "moved", "from": "a.mp3", "to": "b.mp3"}]

    shelf.mismo.app.plays.history_providers.append(moves)
    deck = Deck(shelf, track_id)
    await deck.says("start", 0)
    await deck.says("stop", 1)
    history = (await shelf.mismo.client.get(f"/api/tracks/{track_id}/history"))["data"]
    assert [row["event"] for row in history if row["event"] != "added"] == ["stop", "moved", "start"]
    assert history[1] == {"at": to_rfc3339(_T0 + 500), "event": "moved", "from": "a.mp3", "to": "b.mp3"}


async def test_engine_reports_plays_it_has_measured(shelf: Shelf, track_id: str) -> None:
    plays = shelf.mismo.app.plays
    async with shelf.mismo.app.uow() as tx:
        await plays.note_within(tx, track_id, "load", "1", _T0)
        await plays.note_within(tx, track_id, "start", "1", _T0 + 1, 0.0)
        await plays.count_within(tx, track_id, "1", _T0 + 30_001)
        await plays.note_within(tx, track_id, "stop", "1", _T0 + 60_000, 60.0)
        await plays.count_within(tx, ids.new_id(), "1", _T0)
        await plays.note_within(tx, ids.new_id(), "load", "1", _T0)
    assert (await shelf.get("one"))["play_count"] == 1
    history = (await shelf.mismo.client.get(f"/api/tracks/{track_id}/history"))["data"]
    assert [row["event"] for row in history if row["event"] != "added"] == ["stop", "played", "start", "load"]


@pytest.mark.parametrize(
    ("below", "body", "field"),
    [
        ("playback", {"event": "pause"}, "event"),
        ("playback", {}, "event"),
        ("playback", {"event": "start", "position": -1}, "position"),
        ("playback", {"event": "start", "at": "now"}, "at"),
        ("load", {"deck": 3}, "deck"),
        ("load", {"dek": "A"}, "dek"),
    ],
)
async def test_wrong_report_is_refused_by_name(
    shelf: Shelf, track_id: str, below: str, body: dict[str, Any], field: str
) -> None:
    answer = await shelf.mismo.client.post(f"/api/tracks/{track_id}/{below}", body, status=422)
    assert answer["errors"][0]["field"] == field


async def test_unknown_track_has_no_history(shelf: Shelf) -> None:
    path = f"/api/tracks/{ids.new_id()}"
    await shelf.mismo.client.get(f"{path}/history", status=404)
    await shelf.mismo.client.post(f"{path}/load", {"deck": "A"}, status=404)
    await shelf.mismo.client.post(f"{path}/playback", {"event": "start"}, status=404)
