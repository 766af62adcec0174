"""The link itself: garbage, flaps, an engine that stands still, and how long it waits before it tries again."""

from __future__ import annotations

import asyncio
import gc
import os
import tracemalloc
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import orjson
import pytest
from websockets.asyncio.client import ClientConnection

from server.config import Config
from server.engine.link import MAX_AT_WORK, EngineLink, Peer
from server.engine.pace import JITTER, Backoff, Pace
from tests.analysis.conftest import QUICK
from tests.engine.conftest import BRISK, UNKNOWN, Desk, one_track
from tests.support.application import Running, running
from tests.support.engine import StandInEngine

REQUEST = '{"command":"getTrackInfo","trackId":"%s","requestId":%d}'


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        "[]",
        '"x"',
        "null",
        "[" * 100_000,
        b'{"command":"\xff\xfe"}',
        '{"command":"selfDestruct"}',
        '{"type":"selfDestruct"}',
        '{"command":"getTrackInfo","trackId":"x","stems":"perhaps"}',
        '{"type":"cuePointSet","deck":"A","index":8,"position":1}',
        '{"type":"cuePointSet","deck":"A","index":1,"position":1e999}',
        '{"type":"deckStateUpdate","deck":"A\\u0000","playing":true}',
        '{"type":"deckStateUpdate","deck":"A","playing":true,"trackId":"../etc/passwd"}',
        '{"type":"trackLoaded","deck":"A","success":true}',
    ],
)
async def test_garbage_gets_an_error_and_the_link_lives_on(
    linked: Running, engine: StandInEngine, text: str | bytes
) -> None:
    await engine.send(text)
    refused = await engine.hear()
    assert refused["success"] is False
    assert refused["error"]
    assert (await engine.ask(command="getTrackInfo", trackId=UNKNOWN, requestId=1))["error"] == "Track not found"
    assert engine.connections == 1


async def test_message_that_is_too_large_gets_an_error_and_the_link_lives_on(
    linked: Running, engine: StandInEngine
) -> None:
    await engine.send('{"command":"getTrackInfo","requestId":"big","trackId":"' + "x" * 2_000_000 + '"}')
    assert "bytes" in (await engine.hear())["error"]
    assert (await engine.ask(command="getTrackInfo", trackId=UNKNOWN, requestId=1))["error"] == "Track not found"
    assert engine.connections == 1


async def test_error_of_an_event_names_the_request_it_answers(linked: Running, engine: StandInEngine) -> None:
    await engine.say(type="cuePointSet", deck="A", index=9, position=1, requestId="cue")
    assert (await engine.hear())["requestId"] == "cue"
    await engine.say(type="trackLoaded", deck="A", trackId=UNKNOWN, success=True, requestId="load")
    assert await engine.hear() == {"success": False, "requestId": "load", "error": "Track not found"}


async def test_engine_without_a_token_is_told_who_calls(settings: Config, engine: StandInEngine) -> None:
    async with running(replace(settings, audio_server_auth_token=None), engine_pace=BRISK):
        await engine.connected()
    assert engine.identified == [{"type": "appServerIdentify"}]


async def test_engine_is_told_that_mismo_goes(settings: Config, engine: StandInEngine) -> None:
    async with running(settings, engine_pace=BRISK):
        await engine.connected()
    await engine.disconnected()
    assert engine.close_codes == [1001]


async def test_more_decks_than_any_engine_has_are_refused(linked: Running, engine: StandInEngine) -> None:
    for number in range(65):
        await engine.say(type="deckStateUpdate", deck=str(number), position=0.0, playing=False)
    assert "64 decks" in (await engine.hear())["error"]


@dataclass
class Held:
    """What a link may not gather: tasks, descriptors, connections, memory."""

    tasks: int = field(default_factory=lambda: len(asyncio.all_tasks()))
    descriptors: int = field(default_factory=lambda: len(os.listdir("/proc/self/fd")))
    connections: int = field(default_factory=lambda: _living(ClientConnection, Peer))
    memory: int = field(default_factory=lambda: tracemalloc.get_traced_memory()[0])


def _living(*kinds: type) -> int:
    gc.collect()
    return sum(isinstance(thing, kinds) for thing in gc.get_objects())


async def _quiet(before: Held) -> Held:
    """What is held once all that was on its way has ended; or in the end, if something never does."""
    now_s = asyncio.get_running_loop().time
    deadline = now_s() + 30
    while True:
        # What is left of a link is in tasks, which tell of their end; to look at everything that lives takes long.
        while len(tasks := asyncio.all_tasks()) > before.tasks + 5 and now_s() < deadline:
            others = tasks - {asyncio.current_task()}
            await asyncio.wait(others, timeout=deadline - now_s(), return_when=asyncio.FIRST_COMPLETED)
        now = Held()
        is_quiet = (
            now.tasks <= before.tasks + 5
            and now.descriptors <= before.descriptors
            and now.connections <= before.connections
        )
        if is_quiet or now_s() > deadline:
            return now
        await asyncio.sleep(0.1)  # a socket is closed a little after its task has ended, and nothing tells of it


async def test_two_hundred_flaps_leave_nothing_behind(
    settings: Config, engine: StandInEngine, music: Path, desk: Desk
) -> None:
    async with running(settings, analysis_pace=QUICK, engine_pace=BRISK) as mismo:
        await engine.connected()
        desk.gate.clear()
        # Each flap leaves a request behind whose full reply is still owed.
        track_id = await one_track(mismo, music, analysed=False)
        await engine.ask(command="getTrackInfo", trackId=track_id, requestId="first")
        await desk.begun.wait()
        calm = Held()
        await engine.flap(20, REQUEST % (track_id, 1))
        await engine.connected(21)
        await engine.ask(command="getTrackInfo", trackId=UNKNOWN, requestId="quiet")
        tracemalloc.start()
        try:
            before = await _quiet(calm)
            await engine.flap(200, REQUEST % (track_id, 2))
            await engine.connected(221)
            await engine.ask(command="getTrackInfo", trackId=UNKNOWN, requestId="quiet again")
            after = await _quiet(before)
        finally:
            tracemalloc.stop()
        assert engine.connections == 221
        # One task more for each flap would be two hundred; other parts of the server begin and end a few meanwhile.
        assert after.tasks <= before.tasks + 5
        assert after.descriptors <= before.descriptors
        assert after.connections == before.connections
        assert after.memory - before.memory < 200 * 4096
        desk.gate.set()
        reply = await engine.ask(command="getTrackInfo", trackId=track_id, requestId="at last")
        assert reply["requestId"] == "at last"


async def test_engine_that_stands_still_is_left_and_found_again(
    settings: Config, engine: StandInEngine, music: Path
) -> None:
    pace = replace(BRISK, ping=0.5, pong=0.5, opening=0.5)
    async with running(settings, analysis_pace=QUICK, engine_pace=pace) as mismo:
        await engine.connected()
        track_id = await one_track(mismo, music)
        async with mismo.socket("engine:state") as socket:
            calm = Held()
            await engine.send(REQUEST % (track_id, 1))
            assert (await engine.hear())["requestId"] == 1
            engine.freeze()
            try:
                lost = await socket.named("engine:state")
                assert lost["data"]["state"] == "disconnected"
                assert (await mismo.client.get("/api/audio-server"))["data"]["state"] == "disconnected"
            finally:
                engine.thaw()
            await socket.until(lambda event: event["data"]["state"] == "connected")
        await engine.connected(2)
        reply = await engine.ask(command="getTrackInfo", trackId=track_id, requestId="after")
        assert reply["success"]
        assert (await _quiet(calm)).tasks <= calm.tasks + 5


async def test_engine_that_stands_still_among_its_requests_costs_the_others_nothing(
    settings: Config, engine: StandInEngine, music: Path, desk: Desk, capfd: pytest.CaptureFixture[str]
) -> None:
    # A ping would wait behind the replies that nobody reads, and so would never be missed.
    pace = replace(BRISK, ping=3600, pong=0.5, opening=0.5)
    desk.beats = [n / 100 for n in range(4000)]
    async with running(settings, analysis_pace=QUICK, engine_pace=pace) as mismo:
        await engine.connected()
        track_id = await one_track(mismo, music)
        reply = await engine.ask(command="getTrackInfo", trackId=track_id, requestId="before")
        replies, one = 2000, len(orjson.dumps(reply))
        assert one > 16_000
        async with mismo.socket("engine:state") as socket:
            calm = Held()
            tracemalloc.start()
            try:
                await engine.stand_still([REQUEST % (track_id, number) for number in range(replies)])
                while not socket.events:
                    # Whoever else asks is answered meanwhile.
                    await mismo.client.get(f"/api/tracks/{track_id}/hot-cues")
                    await socket.send(type="ping", id="x")
                    await socket.receive()
                    assert len(asyncio.all_tasks()) <= calm.tasks + MAX_AT_WORK + 16
                memory = tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()
                engine.thaw()
            assert socket.events[0]["data"]["state"] == "disconnected"
            assert "took nothing in for 0.5 s" in socket.events[0]["data"]["detail"]
            await socket.until(lambda event: event["data"]["state"] == "connected")
        # All of its replies at once would be as much again and more.
        assert memory < replies * one / 2
        assert "the engine took nothing in for 0.5 s" in capfd.readouterr().out
        await engine.connected(2)
        assert (await engine.ask(command="getTrackInfo", trackId=track_id, requestId="after"))["success"]
        assert (await _quiet(calm)).tasks <= calm.tasks + 5


async def test_server_stops_while_its_engine_stands_still(
    settings: Config, engine: StandInEngine, music: Path, desk: Desk, capfd: pytest.CaptureFixture[str]
) -> None:
    desk.beats = [n / 100 for n in range(4000)]
    try:
        async with running(settings, analysis_pace=QUICK, engine_pace=BRISK) as mismo:
            await engine.connected()
            track_id = await one_track(mismo, music)
            await engine.stand_still([REQUEST % (track_id, number) for number in range(2000)])
    finally:
        engine.thaw()
    assert "didn't stop in time" not in capfd.readouterr().out


@dataclass
class FakeTime:
    """Sleeps at once, writes down how long, and ends the link after so many times."""

    last: int
    now: float = 0.0
    slept: list[float] = field(default_factory=list)

    def monotonic(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        if len(self.slept) == self.last:
            raise asyncio.CancelledError


async def _paused(mismo: Running, url: str, times: int) -> list[float]:
    fake = FakeTime(times)
    link = EngineLink(url, None, mismo.app.bus, Pace(), fake.sleep, fake.monotonic)
    with pytest.raises(asyncio.CancelledError):
        await link.run()
    return fake.slept


async def _answering(serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]) -> asyncio.Server:
    return await asyncio.start_server(serve, "127.0.0.1", 0)


async def test_pauses_double_from_a_second_to_thirty(mismo: Running) -> None:
    server = await _answering(_hang_up)
    url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    server.close()
    await server.wait_closed()
    pauses = await _paused(mismo, url, 8)
    for pause, expected in zip(pauses, (1, 2, 4, 8, 16, 30, 30, 30), strict=True):
        assert expected * (1 - JITTER) <= pause <= expected


async def _hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def _talk_nonsense(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"\x00\xff" * 50_000 + b"\r\n\r\n")
    writer.close()


async def _refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
    writer.close()


async def _send_elsewhere(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 302 Found\r\nLocation: http://[broken\r\nContent-Length: 0\r\n\r\n")
    writer.close()


@pytest.mark.parametrize("behave", [_hang_up, _talk_nonsense, _refuse, _send_elsewhere])
async def test_server_that_is_no_engine_is_tried_again(
    mismo: Running, behave: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
) -> None:
    server = await _answering(behave)
    async with server:
        assert len(await _paused(mismo, f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}", 4)) == 4


def test_link_that_held_for_a_minute_begins_the_pauses_anew() -> None:
    backoff = Backoff(Pace(), chance=lambda: 0.0)
    assert [backoff.after(0) for _ in range(4)] == [1, 2, 4, 8]
    assert backoff.after(59.9) == 16
    assert [backoff.after(60), backoff.after(0)] == [1, 2]


async def test_pauses_begin_anew_after_a_link_that_held(mismo: Running, engine: StandInEngine) -> None:
    """The link is up for a minute of the fake clock, between failures of every other try."""
    fake = FakeTime(6)

    class Bus:
        """Moves the clock on while the link is up."""

        def publish(self, event: object) -> None:
            if getattr(event, "state", "") == "connected":
                fake.now += 61 if engine.connections == 2 else 1

    link = EngineLink(engine.url, None, Bus(), Pace(), fake.sleep, fake.monotonic)  # type: ignore[arg-type] # only publishes
    await engine.flap(6, "{}")
    with pytest.raises(asyncio.CancelledError):
        await link.run()
    starts = [round(pause / (1 - JITTER / 2)) for pause in fake.slept]
    assert starts[0] == 1
    assert starts.count(1) == 2
