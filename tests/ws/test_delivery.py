"""Who gets which event when: no gap, no repeat, in order, whoever stalls, comes late or comes back."""

from __future__ import annotations

import asyncio
import itertools
import random
import socket as sockets
from dataclasses import replace
from typing import Any

import aiohttp
import orjson
import pytest

from server import errors
from server.clock import SystemClock
from server.config import Config
from server.events.log import DAY_MS, UNREAD_DAYS
from server.events.model import Entry
from server.libraries.events import DirectoryUpdated
from server.scanning.events import ScanComplete, ScanProgress
from server.ws.ring import Item, Ring
from tests.support.application import Running, running
from tests.support.websocket import Socket
from tests.ws.changes import announce, touch, values


def _limit(mismo: Running, **limits: Any) -> None:
    """Other limits for the connections to come, and for the hub itself."""
    hub = mismo.app.hub
    hub.limits = replace(hub.limits, **limits)
    hub._ring = Ring(hub.last_seq, hub.limits.ring_items, hub.limits.ring_bytes)


async def test_replay_goes_on_live_without_gap_or_repeat_over_200_disconnects(mismo: Running) -> None:
    """A client that is torn off at random moments, and comes back with `since`, has every event once, in order."""
    chance = random.Random(4711)
    writing = True

    async def write() -> None:
        n = 0
        while writing:
            await announce(mismo, 1, start=n)
            n += 1
            await asyncio.sleep(chance.choice((0, 0, 0.001, 0.003)))

    got: list[dict[str, Any]] = []
    async with asyncio.TaskGroup() as group:
        task = group.create_task(write())
        for round_ in itertools.count():
            if round_ >= 200 and mismo.app.log.seq > 200:
                break  # the writer has gone on meanwhile, however slow the machine
            since = got[-1]["seq"] if got else 0
            by_address = f"?topics=setting:*&since={since}" if round_ % 2 else ""
            async with mismo.session.ws_connect(f"{mismo.url}/ws{by_address}") as raw:
                socket = Socket(raw)
                if not by_address:
                    await socket.subscribe("setting:*", since=since)
                for _ in range(chance.randrange(4)):
                    await socket.receive()
                got += socket.events
                if chance.random() < 0.5:
                    assert raw._response.connection is not None
                    assert raw._response.connection.transport is not None
                    raw._response.connection.transport.abort()
        writing = False
        await task
    last = mismo.app.log.seq
    async with mismo.socket("setting:*", since=got[-1]["seq"]) as socket:
        got += await socket.up_to(last) if got[-1]["seq"] < last else []
    assert values(got) == list(range(last))
    assert [event["seq"] for event in got] == list(range(1, last + 1))


async def test_many_subscribers_at_random_moments_see_everything_after_the_number_they_were_told(
    mismo: Running,
) -> None:
    async def follow(delay: float, more: bool) -> list[int]:
        await asyncio.sleep(delay)
        async with mismo.socket() as socket:
            if more:  # a second subscription must not tear a hole into the first
                await socket.subscribe("track:*")
                await asyncio.sleep(delay / 2)
            told = (await socket.subscribe("setting:*"))["seq"]
            got = values(await socket.up_to(150)) if told < 150 else []
            assert got == list(range(told, 150))
            return got

    async def write() -> None:
        for n in range(150):
            await announce(mismo, 1, start=n)

    async with asyncio.TaskGroup() as group:
        group.create_task(write())
        for n in range(24):
            group.create_task(follow(n * 0.01, bool(n % 2)))


async def test_since_replays_only_what_matches(mismo: Running) -> None:
    await announce(mismo, 2)
    await touch(mismo, "a", "b", "c")
    last = await announce(mismo, 1, start=2)
    async with mismo.socket("track:*", "companion:*", since=1, detail="ids") as socket:
        await socket.subscribe("setting:*", since=1)
        events = await socket.up_to(last)
    assert [(event["seq"], event["event"]) for event in events] == [
        (5, "track:updated"), (2, "setting:updated"), (6, "setting:updated"),
    ]  # fmt: skip


async def _forget_all(mismo: Running) -> None:
    """Also what reactions haven't read yet."""
    await mismo.app.log.forget(SystemClock().now_ms() + (UNREAD_DAYS + 1) * DAY_MS)


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ({"since": 2}, "too_old"),
        ({"since": 2, "epoch": "another"}, "epoch"),
        ({"epoch": "another"}, "epoch"),
        ({"since": 999}, "epoch"),
        ({"since": 6, "epoch": "another"}, "epoch"),
    ],
)
async def test_client_that_cannot_go_on_is_reset_and_goes_on_from_there(
    mismo: Running, message: dict[str, Any], reason: str
) -> None:
    await announce(mismo, 5)
    await _forget_all(mismo)
    await announce(mismo, 1, start=5)
    async with mismo.socket() as socket:
        await mismo.settled()
        await socket.send(type="subscribe", topics=["*"], **message)
        assert (await socket.receive())["type"] == "subscribed"
        assert await socket.receive() == {"type": "reset", "reason": reason, "seq": 6}
        last = await announce(mismo, 1, start=6)
        assert values(await socket.up_to(last)) == [6]


@pytest.mark.parametrize("since", [5, 6])
async def test_oldest_number_that_can_be_gone_on_from_is_not_too_old(mismo: Running, since: int) -> None:
    await announce(mismo, 5)
    await _forget_all(mismo)
    last = await announce(mismo, 2, start=5)
    async with mismo.socket() as socket:
        await socket.send(type="subscribe", topics=["*"], since=since, epoch=socket.hello["epoch"])
        assert (await socket.receive())["type"] == "subscribed"
        assert values(await socket.up_to(last)) == list(range(since, 7))


async def test_event_that_is_committed_but_not_published_yet_is_no_repeat(mismo: Running) -> None:
    """A client that learned a number by REST, before the bus came to it, gets only what comes after."""
    async with mismo.socket() as socket:
        last = await announce(mismo, 50)
        await socket.subscribe("*", since=last)
        last = await announce(mismo, 1, start=50)
        assert values(await socket.up_to(last)) == [50]


async def test_burst_goes_out_in_few_messages(mismo: Running) -> None:
    _limit(mismo, coalesce=0.3)
    async with mismo.socket("setting:*") as socket:
        for seq in range(1, 201):
            mismo.app.hub.recorded([Entry(seq, 0, "setting:updated", {"key": "n", "value": seq})])
            await asyncio.sleep(0)
        messages = 0
        while not socket.events or socket.events[-1]["seq"] < 200:
            await socket.receive()
            messages += 1
    assert [event["seq"] for event in socket.events] == list(range(1, 201))
    assert messages <= 3, "the first at once, the rest together"


async def test_event_is_serialised_once_for_all_clients(mismo: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    dumped: list[int | None] = []
    dump = Item._dump

    def counting(self: Item, data: Any) -> bytes:
        dumped.append(self.seq)
        return dump(self, data)

    monkeypatch.setattr(Item, "_dump", counting)
    async with mismo.socket("*") as a, mismo.socket("setting:*") as b, mismo.socket("setting:updated") as c:
        last = await announce(mismo, 3)
        for socket in a, b, c:
            await socket.up_to(last)
    assert dumped == [1, 2, 3]


def _progress(scan: str, done: int) -> ScanProgress:
    return ScanProgress(
        subject=scan, scan_id=scan, library_directory_id="d", phase="read", found=9, done=done, total=9, rate=1.0,
        eta=None, current="",
    )  # fmt: skip


async def test_transient_events_are_limited_for_each_subject_and_the_latest_is_sent(mismo: Running) -> None:
    now = 1000.0
    mismo.app.hub.now = lambda: now
    async with mismo.socket("library:directory:scan:progress") as socket:
        for done in range(500):
            mismo.app.bus.publish(_progress("one", done))
            mismo.app.bus.publish(_progress("two", done))
        first = await socket.until(lambda event: event["data"]["scan_id"] == "one")
        await socket.until(lambda event: event["data"]["scan_id"] == "two")
        assert len(socket.events) == 2, "one for each subject, however many were published"
        assert "seq" not in first
        assert "subject" not in first["data"]
        mismo.app.bus.publish(_progress("one", 1000))
        mismo.app.bus.publish(_progress("one", 1001))
        await socket.subscribe("setting:*")
        await announce(mismo, 1)
        await socket.named("setting:updated")
        assert len(socket.events) == 3, "no progress within the interval"
        now += 0.1
        await socket.until(lambda event: event["data"].get("done") == 1001)
    assert [event["data"]["done"] for event in socket.events if event["data"].get("scan_id") == "one"][1:] == [1001]


async def test_no_progress_comes_after_the_end(mismo: Running) -> None:
    now = 1000.0
    mismo.app.hub.now = lambda: now
    async with mismo.socket("library:directory:scan:*") as socket:
        mismo.app.bus.publish(_progress("one", 1))
        await socket.named("library:directory:scan:progress")
        mismo.app.bus.publish(_progress("one", 2))  # waits for its turn
        async with mismo.app.uow() as tx:
            tx.emit(ScanComplete(scan={"id": "one"}))
        await socket.named("library:directory:scan:complete")
        mismo.app.bus.publish(_progress("one", 3))  # as from another process
        now += 0.1
        mismo.app.bus.publish(_progress("two", 4))
        await socket.until(lambda event: event["data"].get("scan_id") == "two")
    assert [event["data"]["done"] for event in socket.events if "scan_id" in event["data"]] == [1, 4]


async def test_transient_event_is_not_replayed(mismo: Running) -> None:
    async with mismo.socket("*") as socket:
        mismo.app.bus.publish(_progress("one", 1))
        await socket.named("library:directory:scan:progress")
        await socket.subscribe("*", since=0)
        last = await announce(mismo, 1)
        assert len([event for event in await socket.up_to(last) if "seq" not in event]) == 1


class Deaf:
    """A client that subscribes to everything and then never reads from its socket again."""

    def __init__(self, mismo: Running, address: str = "/ws?topics=*"):
        self._raw = sockets.socket()
        self._raw.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)
        self._mismo = mismo
        self._address = address

    async def __aenter__(self) -> Deaf:
        loop = asyncio.get_running_loop()
        self._raw.setblocking(False)
        host, port = self._mismo.url.removeprefix("http://").split(":")
        await loop.sock_connect(self._raw, (host, int(port)))
        await loop.sock_sendall(
            self._raw,
            f"GET {self._address} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode(),
        )
        head = await loop.sock_recv(self._raw, 12)
        assert head == b"HTTP/1.1 101"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._raw.close()

    async def rest(self) -> bytes:
        """All that still comes, up to the end of the connection."""
        loop = asyncio.get_running_loop()
        received = b""
        while part := await loop.sock_recv(self._raw, 1 << 20):
            received += part
        return received


async def _flood(mismo: Running, count: int, size: int = 60_000) -> None:
    """Large events, as directories with long patterns make them."""
    async with mismo.app.uow() as tx:
        tx.emit(*(DirectoryUpdated(directory={"id": str(n), "padding": "x" * size}) for n in range(count)))


async def _connected(mismo: Running, count: int) -> None:
    hub = mismo.app.hub
    while hub.connections != count:  # what a client does at its end shows at the server only later
        hub._moved.clear()
        await hub._moved.wait()


def _held(mismo: Running) -> list[int]:
    """What waits in the socket of each connection, in bytes."""
    return [connection._transport.get_write_buffer_size() for connection in mismo.app.hub._connections]


async def test_client_that_never_reads_is_bounded_and_closed_and_costs_the_others_nothing(mismo: Running) -> None:
    _limit(mismo, high_water=100_000, stalled=2.0, farewell=0.1, look_after=0.02)
    async with mismo.socket("*") as other, Deaf(mismo) as deaf:
        await _connected(mismo, 2)
        for _ in range(10):
            await _flood(mismo, 20)
            await other.up_to(mismo.app.log.seq)
            assert max(_held(mismo)) <= 100_000 + mismo.app.hub.limits.frame_bytes + 70_000
        last = mismo.app.log.seq
        assert [event["seq"] for event in other.events] == list(range(1, last + 1))
        await _connected(mismo, 1)
        last = await announce(mismo, 1)
        await other.up_to(last)
        assert await deaf.rest()


async def test_client_that_never_reads_a_replay_is_closed_too(mismo: Running) -> None:
    _limit(mismo, stalled=2.0, farewell=0.1, look_after=0.02)
    await _flood(mismo, 200)
    async with Deaf(mismo, "/ws?topics=*&since=0"), mismo.socket("*") as other:
        await _connected(mismo, 2)
        assert max(_held(mismo)) <= 1_000_000
        last = await announce(mismo, 1)
        await other.up_to(last)
        await _connected(mismo, 1)


async def test_slow_client_that_fell_out_of_the_ring_is_reset_and_goes_on(mismo: Running) -> None:
    _limit(mismo, high_water=50_000, ring_items=20)
    async with mismo.session.ws_connect(f"{mismo.url}/ws?topics=*", max_msg_size=0) as raw:
        slow = Socket(raw)
        await slow.reply("subscribed")
        assert raw._response.connection is not None
        transport = raw._response.connection.transport
        assert isinstance(transport, asyncio.Transport)
        transport.pause_reading()
        async with mismo.socket("*") as other:
            for _ in range(30):
                await _flood(mismo, 10)
                await other.up_to(mismo.app.log.seq)
            assert not other.others[2:], "who reads isn't reset"
        transport.resume_reading()
        reset = await slow.reply("reset")
        assert reset["reason"] == "too_slow"
        seen = [event["seq"] for event in slow.events]
        assert seen == list(range(1, len(seen) + 1)), "what came before the reset came in order"
        last = await announce(mismo, 3)
        events = await slow.up_to(last)
    assert [event["seq"] for event in events[len(seen) :]] == list(range(reset["seq"] + 1, last + 1))


async def test_client_that_answers_no_ping_is_closed(mismo: Running) -> None:
    _limit(mismo, heartbeat=0.1, pong=1.0, look_after=0.02, farewell=0.1)
    async with (
        mismo.session.ws_connect(f"{mismo.url}/ws", autoping=False) as mute,
        mismo.session.ws_connect(f"{mismo.url}/ws") as alive,
    ):
        answered = asyncio.Event()

        async def answer() -> None:
            async for message in alive:
                if orjson.loads(message.data)["type"] == "pong":
                    answered.set()

        async with asyncio.TaskGroup() as group:
            group.create_task(answer())
            kinds = [message.type async for message in mute]
            assert aiohttp.WSMsgType.PING in kinds
            assert mute.close_code == 1001
            await _connected(mismo, 1)
            await alive.send_str('{"type":"ping"}')
            await answered.wait()
            await mismo.app.hub.close()


async def test_database_that_is_away_while_resources_are_read_stops_nobody(mismo: Running) -> None:
    _limit(mismo, retry=0.01)
    tries = 0

    async def unlucky(ids: object) -> dict[str, bytes]:
        nonlocal tries
        tries += 1
        if tries < 4:
            raise errors.DatabaseDown
        return {"a": b'{"id":"a"}'}

    mismo.app.hub.serve_resource("track", unlucky)
    async with mismo.socket("*") as socket:
        last = await touch(mismo, "a")
        (event,) = await socket.up_to(last)
    assert event["data"]["tracks"] == [{"id": "a"}]
    assert tries == 4


async def test_replay_that_the_database_breaks_off_may_be_tried_again(mismo: Running) -> None:
    async def down(ids: object) -> dict[str, bytes]:
        raise errors.DatabaseDown

    await touch(mismo, "a")
    await mismo.settled()
    mismo.app.hub.serve_resource("track", down)
    async with mismo.session.ws_connect(f"{mismo.url}/ws?topics=*&since=0") as raw:
        async for _ in raw:
            pass
        assert raw.close_code == 1013


@pytest.mark.slow
async def test_thousand_clients_get_everything_in_order(config: Config) -> None:
    async with running(config) as mismo, aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def follow(ready: asyncio.Semaphore) -> list[int]:
            async with session.ws_connect(f"{mismo.url}/ws?topics=setting:*") as raw:
                socket = Socket(raw)
                await socket.reply("subscribed")
                ready.release()
                return values(await socket.up_to(100))

        ready = asyncio.Semaphore(0)
        async with asyncio.TaskGroup() as group:
            clients = [group.create_task(follow(ready)) for _ in range(1000)]
            for _ in clients:
                await ready.acquire()
            await announce(mismo, 100)
        assert all(client.result() == list(range(100)) for client in clients)
