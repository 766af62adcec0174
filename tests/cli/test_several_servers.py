"""Several servers on one library: every client sees the same, and what must be done once is done once."""

from __future__ import annotations

import asyncio
import itertools
import signal
import sys
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.cli.program import Program
from tests.cli.several import another
from tests.conftest import IS_POSTGRES, make_config
from tests.support import sound
from tests.support.analysis_server import AnalysisServer, Ordered, analysis_server, good
from tests.support.database import opened
from tests.support.engine import standing_in

pytestmark = pytest.mark.skipif(not IS_POSTGRES, reason="not for SQLite: one file has one server")


def recorded(events: list[dict[str, Any]], last: int) -> list[dict[str, Any]]:
    return [event for event in events if event.get("seq", last + 1) <= last]


async def test_all_clients_of_all_servers_see_the_same_events_in_one_order(program: Program) -> None:
    async with AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(another(program)) for _ in range(3)]
        sockets = [await stack.enter_async_context(one.socket("playlist:*", "setting:*")) for one in servers]

        async def write(index: int) -> None:
            for number in range(25):
                await servers[index].client.post("/api/playlists", {"name": f"{index} {number}"}, status=201)
                await servers[index].client.put("/api/settings/server_name", {"value": f"{index} {number}"})

        await asyncio.gather(*(write(index) for index in range(3)))
        last = (await servers[0].client.request("GET", "/api/settings")).headers["x-mismo-seq"]
        await servers[0].client.put("/api/settings/server_name", {"value": "the end"})
        seen = []
        for socket in sockets:
            end = await socket.until(lambda event: event["data"].get("value") == "the end")
            assert end["seq"] > int(last)
            seen.append(recorded(socket.events, end["seq"]))
        assert seen[0] == seen[1] == seen[2]
        numbers = [event["seq"] for event in seen[0]]
        assert numbers == sorted(set(numbers))
        assert Counter(event["event"] for event in seen[0])["playlist:created"] == 75
        # A client that comes later, elsewhere, is told the same.
        async with servers[2].socket("playlist:*", "setting:*", since=0) as late:
            await late.until(lambda event: event["data"].get("value") == "the end")
            assert late.events[-len(seen[0]) :] == seen[0]


async def test_a_setting_holds_everywhere_once_it_is_announced(program: Program) -> None:
    async with another(program) as first, another(program) as second, second.socket("setting:updated") as socket:
        for number in range(20):
            name = f"Booth {number}"
            assert (await second.data("/api/settings/server_name"))["value"] != name
            await first.client.put("/api/settings/server_name", {"value": name})
            await socket.until(lambda event, name=name: event["data"]["value"] == name)  # type: ignore[misc]
            assert (await second.data("/api/settings/server_name"))["value"] == name


async def test_an_idempotency_key_is_good_for_one_answer_of_all_servers(program: Program) -> None:
    async with another(program) as first, another(program) as second:
        for number in range(10):
            answers = await asyncio.gather(
                *(
                    one.client.request(
                        "POST", "/api/playlists", {"name": f"{number}"}, headers={"Idempotency-Key": f"key {number}"}
                    )
                    for one in (first, second) * 3
                )
            )
            made = [answer.json["data"]["id"] for answer in answers if answer.status == 201]
            assert made
            assert len(set(made)) == 1
            assert {answer.status for answer in answers} <= {201, 409}
        assert (await first.client.get("/api/playlists"))["pagination"]["total"] == 10


async def test_reactions_to_the_log_happen_once_also_when_their_server_is_killed(program: Program, music: Path) -> None:
    for number in range(40):
        for copy in ("a", "b"):
            sound.mp3(music / copy / f"{number:02}.mp3", number, frames=1, TIT2=f"{copy} {number}")
    criteria = {"all": [{"field": "title", "op": "starts_with", "value": "a "}]}
    async with another(program) as first, another(program) as second:
        body = {"name": "A", "type": "smart", "criteria": criteria}
        await second.client.post("/api/playlists", body, status=201)
        directory = await first.added(music, watch=False)
        async with second.socket("*", since=0) as socket:
            await second.scanned(directory)
            await first.kill()
            while Counter(event["event"] for event in socket.events)["duplicate:detected"] < 40:
                await socket.receive()
            refreshed = await socket.named("playlist:smart:refreshed")
            for number in range(20):
                sound.retag(music / "a" / f"{number:02}.mp3", TIT2="retagged")
            await second.scanned(directory)
            await socket.until(
                lambda event: event["event"] == "playlist:smart:refreshed" and event["seq"] > refreshed["seq"]
            )
        assert refreshed["data"]["total"] == 40
        names = Counter(event["event"] for event in socket.events)
        assert (names["duplicate:detected"], names["playlist:smart:refreshed"]) == (40, 2)
        async with opened(make_config(database_url=program.database_url)) as database:
            story = await database.fetch_all("SELECT event, count(*) FROM file_history GROUP BY event")
        assert [tuple(row) for row in story] == [("retagged", 20)]


COMPANION = """
import os, sys
from http.server import BaseHTTPRequestHandler, HTTPServer
class Health(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.send_header("Content-Length", "2"); self.end_headers(); self.wfile.write(b"{}")
    def log_message(self, *_): pass
with open(sys.argv[1], "a") as starts:
    starts.write(f"{os.getpid()}\\n")
HTTPServer(("127.0.0.1", int(sys.argv[2])), Health).serve_forever()
"""


async def test_a_companion_is_started_by_one_server_and_by_the_next_when_that_is_gone(
    program: Program, tmp_path: Path, unused_tcp_port: int
) -> None:
    (tmp_path / "companion.py").write_text(COMPANION)
    starts = tmp_path / "starts"
    settings = {
        "ANALYSIS_SERVER_COMMAND": f"{sys.executable} {tmp_path}/companion.py {starts} {unused_tcp_port}",
        "ANALYSIS_SERVER_URL": f"http://127.0.0.1:{unused_tcp_port}",
    }
    async with another(program, **settings) as first, another(program, **settings) as second:
        async with second.socket("companion:state", since=0) as socket:
            await socket.until(lambda event: event["data"]["state"] == "running")
            for one in (first, second):
                assert (await one.data("/api/companions/analysis"))["state"] == "running"
            assert len(starts.read_text().splitlines()) == 1
            # Asked through the one that hasn't got it.
            asked = await second.client.request("POST", "/api/companions/analysis/stop")
            assert asked.status == 202
            stopped = await socket.until(lambda event: event["data"]["state"] == "stopped")
            await second.client.request("POST", "/api/companions/analysis/start")
            again = await socket.until(
                lambda event: event["seq"] > stopped["seq"] and event["data"]["state"] == "running"
            )
            assert len(starts.read_text().splitlines()) == 2
            await first.kill()
            await socket.until(lambda event: event["seq"] > again["seq"] and event["data"]["state"] == "running")
        assert len(starts.read_text().splitlines()) == 3
        states = [event["data"]["state"] for event in socket.events]
        life = ["starting", "running"]
        assert states == [*life, "stopping", "stopped", *life, *life]


async def test_the_engine_has_one_link_and_its_plays_are_counted_once(program: Program, music: Path) -> None:
    sound.mp3(music / "one.mp3", 1)
    async with standing_in() as engine:
        settings = {"AUDIO_SERVER_WS_URL": engine.url, "AUDIO_SERVER_RECONNECT_DELAY": "100"}
        async with another(program, **settings) as first, another(program, **settings) as second:
            await first.client.put("/api/settings/played_after_seconds", {"value": 0.0})
            await second.scanned(await second.added(music, watch=False))
            (track,) = await second.data("/api/tracks")
            await engine.connected()
            states = [(await one.data("/api/audio-server"))["state"] for one in (first, second)]
            assert states == ["connected", "elsewhere"]
            async with second.socket("*") as socket:
                await engine.say(type="trackLoaded", deck="A", trackId=track["id"], success=True)
                await engine.say(type="deckStateUpdate", deck="A", trackId=track["id"], playing=True, position=0.0)
                await engine.say(type="deckStateUpdate", deck="A", trackId=track["id"], playing=True, position=1.0)
                await socket.named("track:updated")
            await first.server.stop(signal.SIGKILL)
            await engine.connected(2)
            assert (await second.data("/api/audio-server"))["state"] == "connected"
            async with second.socket("deck:state") as socket:
                # It knows what is on the deck, and that this was counted.
                await engine.say(type="deckStateUpdate", deck="A", trackId=track["id"], playing=True, position=9.0)
                await socket.named("deck:state")
            assert engine.connections == 2
            assert (await second.data(f"/api/tracks/{track['id']}"))["play_count"] == 1


def hashes_in(events: list[dict[str, Any]], name: str) -> set[str]:
    return {event["data"]["job"]["audio_hash"] for event in events if event["event"] == name}


async def test_each_audio_is_analysed_once_whichever_server_has_it_done(program: Program, music: Path) -> None:
    for number in range(20):
        sound.mp3(music / f"{number:02}.mp3", number, frames=2)
    done: asyncio.Queue[str] = asyncio.Queue()

    async def work(server: AnalysisServer, job: Ordered) -> None:
        await good(server, job)
        done.put_nowait(job.track_hash)

    async with analysis_server(work) as analyser:
        settings = {
            "ANALYSIS_SERVER_URL": analyser.url,
            "AUTO_ANALYZE_NEW_TRACKS": "true",
            "MAX_CONCURRENT_ANALYSIS": "3",
        }
        async with another(program, **settings) as first, another(program, **settings) as second:
            async with second.socket("analysis:*") as socket:
                await second.scanned(await first.added(music, watch=False))
                # What comes later are the stages that nobody waits for.
                while len(hashes_in(socket.events, "analysis:complete")) < 20:
                    await socket.receive()
            assert not hashes_in(socket.events, "analysis:failed")
            ended = hashes_in(socket.events, "analysis:complete")
            given = [job for job in analyser.jobs.values() if "basic_features" in job.stages]
            assert Counter(job.track_hash for job in given) == dict.fromkeys(ended, 1)
            # In the order of commits, never more than three were given away and not done.
            steps = {"analysis:started": 1, "analysis:complete": -1}
            running = itertools.accumulate(steps.get(event["event"], 0) for event in socket.events)
            assert 1 < max(running) <= 3
