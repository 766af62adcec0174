"""Sessions: begun by a play, finished by hand or by silence, and readable when the tracks are gone."""

from __future__ import annotations

from typing import Any

from server.clock import to_rfc3339
from server.config import Config
from tests.playlists.clock import START, StoppedClock, marked, running_at
from tests.playlists.library import fill
from tests.support.application import Running


async def play(mismo: Running, track_id: str, at: int, duration: float | None = None) -> dict[str, Any] | None:
    async with mismo.app.uow() as tx:
        return await mismo.app.playlists.log_play(tx, track_id, at, duration, "A")


async def test_first_play_begins_a_session_and_short_ones_dont_count(config: Config) -> None:
    clock = StoppedClock()
    async with running_at(config, clock) as mismo:
        tracks = await fill(mismo.app, [{"title": f"T{n}", "artist": "X", "duration_seconds": 300.0} for n in range(2)])
        assert await play(mismo, tracks[0], START, 29.9) is None
        await mismo.client.get("/api/playlists/sessions/active", status=404)
        async with mismo.socket("session:*", "playlist:*") as socket:
            assert await play(mismo, tracks[0], START, 30.0) is not None
            played = await socket.named("session:track:played")
        assert [event["event"] for event in socket.events] == ["session:started", "session:track:played"]
        assert (played["data"]["entry"]["title"], played["data"]["entry"]["deck"]) == ("T0", "A")
        await play(mismo, tracks[1], START + 400_000)
        await play(mismo, tracks[0], START + 200_000)
        await play(mismo, tracks[1], START + 400_000, 120.0)
        active = (await mismo.client.get("/api/playlists/sessions/active"))["data"]
        assert active["name"] == f"Session {active['session']['date']}"
        assert [tracks.index(entry["track_id"]) for entry in active["entries"]] == [0, 0, 1]
        assert active["entries"][2]["play_duration_ms"] == 120_000
        assert active["session"]["duration_seconds"] == 520.0
        await mismo.client.put("/api/settings/played_after_seconds", {"value": 5})
        assert await play(mismo, tracks[0], START + 900_000, 6.0) is not None


class Deck:
    """A deck of a frontend that plays by itself and tells Mismo of it."""

    def __init__(self, mismo: Running, clock: StoppedClock):
        self._mismo, self._clock = mismo, clock

    async def plays(self, track_id: str, seconds: float, end: str = "stop") -> bool:
        """Begin at the clock's time; answers whether it counted."""
        path = f"/api/tracks/{track_id}/playback"
        await self._mismo.client.post(path, {"event": "start", "deck": "A"})
        self._clock.pass_seconds(seconds)
        counted: bool = (await self._mismo.client.post(path, {"event": end, "deck": "A"}))["data"]["counted"]
        return counted


async def test_plays_told_over_http_stand_in_the_session_when_they_count(config: Config) -> None:
    clock = StoppedClock()
    async with running_at(config, clock) as mismo:
        tracks = await fill(mismo.app, [{"title": f"T{n}", "duration_seconds": 300.0} for n in range(3)])
        deck = Deck(mismo, clock)
        assert not await deck.plays(tracks[0], 29)
        await mismo.client.get("/api/playlists/sessions/active", status=404)
        async with mismo.socket("session:*", "track:updated") as socket:
            assert await deck.plays(tracks[0], 200)
            played = await socket.named("session:track:played")
            await socket.named("track:updated")
        told = {event["event"]: event["seq"] for event in socket.events}
        assert set(told) == {"track:updated", "session:started", "session:track:played"}
        assert told["session:started"] < told["session:track:played"]
        assert (played["data"]["entry"]["deck"], played["data"]["entry"]["play_duration_ms"]) == ("A", 200_000)
        assert await deck.plays(tracks[1], 5, "complete")
        assert await deck.plays(tracks[0], 100)
        entries = (await mismo.client.get("/api/playlists/sessions/active"))["data"]["entries"]
        assert [(tracks.index(entry["track_id"]), entry["play_duration_ms"]) for entry in entries] == [
            (0, 200_000), (1, 5_000), (0, 100_000),
        ]  # fmt: skip
        assert (await mismo.client.get(f"/api/tracks/{tracks[0]}"))["data"]["play_count"] == 2


async def test_a_play_told_after_its_evening_is_over_counts_but_joins_no_session(config: Config) -> None:
    clock = StoppedClock()
    async with running_at(config, clock) as mismo:
        (track,) = await fill(mismo.app, [{"duration_seconds": 300.0}])
        path = f"/api/tracks/{track}/playback"
        for hours, is_active in ((4, False), (3.9, True)):
            at = START - round(hours * 3_600_000)
            for event, moment in (("start", at), ("complete", at + 300_000)):
                body = {"event": event, "deck": "A", "at": to_rfc3339(moment)}
                counted = (await mismo.client.post(path, body))["data"]["counted"]
            assert counted
            await mismo.client.get("/api/playlists/sessions/active", status=200 if is_active else 404)
        assert (await mismo.client.get(f"/api/tracks/{track}"))["data"]["play_count"] == 2


async def test_a_set_longer_than_the_silence_stays_one_play(config: Config) -> None:
    clock = StoppedClock()
    async with running_at(config, clock) as mismo:
        (track,) = await fill(mismo.app, [{"duration_seconds": 18_000.0}])
        assert await play(mismo, track, START) is not None
        clock.pass_seconds(5 * 3600)
        assert await mismo.app.playlists.sessions.expire() is not None
        assert await play(mismo, track, START, 18_000.0) is None
        (listed,) = (await mismo.client.get("/api/playlists", type="session"))["data"]
        assert listed["track_count"] == 1


async def test_silence_ends_a_session_also_while_the_server_was_off(config: Config) -> None:
    clock = StoppedClock()
    async with running_at(config, clock) as mismo:
        (track,) = await fill(mismo.app, [{"duration_seconds": 60.0}])
        await play(mismo, track, START)
        clock.pass_seconds(4 * 3600 - 1)
        assert await mismo.app.playlists.sessions.expire() is None
    clock.pass_seconds(7 * 3600)
    async with running_at(config, clock) as mismo, mismo.socket("session:*", since=0) as socket:
        ended = await socket.named("session:finalized")
        session = ended["data"]["session"]
        assert (session["is_readonly"], session["session"]["duration_seconds"]) == (True, 60.0)
        await mismo.client.get("/api/playlists/sessions/active", status=404)


async def test_a_play_after_long_silence_belongs_to_a_new_session(config: Config) -> None:
    clock = StoppedClock()
    async with running_at(config, clock) as mismo:
        (track,) = await fill(mismo.app, [{}])
        await play(mismo, track, START)
        clock.pass_seconds(5 * 3600)
        await play(mismo, track, clock.now)
        listed = (await mismo.client.get("/api/playlists", type="session"))["data"]
        assert sorted(item["is_readonly"] for item in listed) == [False, True]


async def test_a_clock_that_is_fast_ends_no_session(config: Config) -> None:
    clock = StoppedClock()
    async with running_at(config, clock) as mismo:
        (track,) = await fill(mismo.app, [{}])
        await play(mismo, track, START)
        assert await play(mismo, track, START + 20 * 3_600_000) is not None
        (session,) = (await mismo.client.get("/api/playlists", type="session"))["data"]
        assert (session["track_count"], session["is_readonly"]) == (2, False)


async def test_finished_session_is_read_only_until_it_is_reopened(mismo: Running) -> None:
    tracks = await fill(mismo.app, [{"title": "Old", "artist": "Someone"}, {"title": "New"}])
    started = (await mismo.client.post("/api/playlists/sessions/start", {"venue": "Club"}, status=201))["data"]
    await mismo.client.post("/api/playlists/sessions/start", status=409)
    path = f"/api/playlists/sessions/{started['id']}"
    body = {"track_id": tracks[0], "duration": 3, "notes": "intro"}
    entry = (await mismo.client.post(f"{path}/track", body, status=201))["data"]
    assert (entry["title"], entry["play_duration_ms"], entry["notes"]) == ("Old", 3000, "intro")
    await mismo.client.post(f"/api/playlists/{started['id']}/convert", status=409)
    ended = (await mismo.client.post(f"{path}/finalize"))["data"]
    assert ended["session"]["venue"] == "Club"
    assert ended["session"]["finalized_at"] is not None
    await mismo.client.post(f"{path}/track", {"track_id": tracks[1]}, status=409)
    await mismo.client.delete(f"/api/playlists/{started['id']}/tracks/{tracks[0]}", status=409)
    await mismo.client.put(f"/api/playlists/{started['id']}", {"is_readonly": False})
    await mismo.client.get("/api/playlists/sessions/active", status=404)
    await mismo.client.post(f"{path}/track", {"track_id": tracks[1]}, status=201)
    closed = (await mismo.client.post(f"{path}/finalize"))["data"]
    assert closed["session"]["finalized_at"] == ended["session"]["finalized_at"]
    assert closed["is_readonly"] is True


async def test_a_play_told_by_hand_counts_once_however_often_it_is_told(mismo: Running) -> None:
    (track,) = await fill(mismo.app, [{"title": "Vinyl", "duration_seconds": 300.0}])
    started = (await mismo.client.post("/api/playlists/sessions/start", status=201))["data"]
    path = f"/api/playlists/sessions/{started['id']}/track"
    at = to_rfc3339(START)
    first = (await mismo.client.post(path, {"track_id": track, "played_at": at, "deck": "B"}, status=201))["data"]
    body = {"track_id": track, "played_at": at, "duration": 120, "notes": "peak"}
    again = (await mismo.client.post(path, body, status=200))["data"]
    assert again["entry_id"] == first["entry_id"]
    assert (again["play_duration_ms"], again["notes"]) == (120_000, "peak")
    shown = (await mismo.client.get(f"/api/tracks/{track}"))["data"]
    assert (shown["play_count"], shown["last_played"]) == (1, at)
    history = (await mismo.client.get(f"/api/tracks/{track}/history"))["data"]
    assert [(item["event"], item["deck"]) for item in history if item["event"] == "played"] == [("played", "B")]
    await mismo.client.post(path, {"track_id": track}, status=201)
    shown = (await mismo.client.get(f"/api/tracks/{track}"))["data"]
    entries = (await mismo.client.get(f"/api/playlists/{started['id']}"))["data"]["entries"]
    assert (shown["play_count"], len(entries)) == (2, 2)


async def test_history_stays_readable_when_a_track_is_gone(mismo: Running) -> None:
    (track,) = await fill(mismo.app, [{"title": "Gone", "artist": "Someone"}])
    started = (await mismo.client.post("/api/playlists/sessions/start", status=201))["data"]
    await mismo.client.post(f"/api/playlists/sessions/{started['id']}/track", {"track_id": track}, status=201)
    await mismo.client.patch(f"/api/tracks/{track}", {"title": "Renamed"})
    await mismo.client.delete(f"/api/tracks/{track}")
    await marked(mismo)
    (entry,) = (await mismo.client.get(f"/api/playlists/{started['id']}"))["data"]["entries"]
    assert (entry["title"], entry["artist"], entry["track"]) == ("Gone", "Someone", None)
    exported = await mismo.client.request("GET", f"/api/playlists/{started['id']}/export")
    assert exported.headers["x-mismo-omitted"] == "1"
    assert "Someone - Gone" in exported.content.decode()
