"""Fan-out over websockets: N clients × 1,000 events a second, all in order; latency, CPU and memory of the server.

`python -m scripts.bench.websocket_fanout [--clients 10 100 1000] [--seconds 5]`

The server is a whole Mismo with its database, in a process of its own, which commits the events itself. The floor is a
bare asyncio server, in a process of its own too, that writes the same frames to as many sockets and does nothing else.
"""

from __future__ import annotations

import argparse
import asyncio
import socket as sockets
import struct
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from scripts.bench.measure import cpu_seconds, percentile, resident_mb, show

EVENTS_PER_SECOND = 1000
BATCH = 20
_HANDSHAKE = (
    b"GET /ws?topics=setting:* HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
_LATENCY_SAMPLE = 20  # the latencies of every so many clients are kept


@dataclass(slots=True)
class Tally:
    """What all clients of a run have received. A payload is parsed once, since all get the same bytes."""

    expected: int
    latencies: list[float] = field(default_factory=list)
    parsed: dict[bytes, list[tuple[int, int]]] = field(default_factory=dict)
    complete: int = 0
    out_of_order: int = 0
    done: asyncio.Event = field(default_factory=asyncio.Event)

    def events(self, payload: bytes) -> list[tuple[int, int]]:
        """(place, time of the commit's begin in ns) of each event in a message."""
        if payload not in self.parsed:
            message = orjson.loads(payload)
            values = [event["data"]["value"] for event in message["events"]] if message["type"] == "events" else []
            self.parsed[payload] = [(place, at) for place, at in values]
        return self.parsed[payload]


class Reader(asyncio.Protocol):
    """One client: shakes hands, then counts events and watches their order."""

    def __init__(self, tally: Tally, subscribed: asyncio.Semaphore, keeps_latencies: bool):
        self._tally = tally
        self._subscribed = subscribed
        self._keeps_latencies = keeps_latencies
        self._buffer = bytearray()
        self._is_open = False
        self._next = 0
        self._messages = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(_HANDSHAKE)

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer
        buffer += data
        if not self._is_open:
            end = buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            del buffer[: end + 4]
            self._is_open = True
        while len(buffer) >= 2:
            size, head = buffer[1] & 0x7F, 2
            if size == 126:
                head = 4
                size = struct.unpack_from("!H", buffer, 2)[0] if len(buffer) >= 4 else 1 << 62
            elif size == 127:
                head = 10
                size = struct.unpack_from("!Q", buffer, 2)[0] if len(buffer) >= 10 else 1 << 62
            if len(buffer) < head + size:
                return
            opcode, payload = buffer[0] & 0xF, bytes(buffer[head : head + size])
            del buffer[: head + size]
            if opcode == 1:
                self._take(payload)

    def _take(self, payload: bytes) -> None:
        self._messages += 1
        if self._messages == 2:  # hello, subscribed
            self._subscribed.release()
        tally, now = self._tally, time.monotonic_ns()
        for place, at in tally.events(payload) if self._messages > 2 else ():
            tally.out_of_order += place != self._next
            self._next = place + 1
            if self._keeps_latencies:
                tally.latencies.append((now - at) / 1e6)
        if self._next == tally.expected:
            tally.complete += 1
            self._next += 1
            tally.done.set()


async def _serve(database: str) -> None:
    """The server's process: says its port, and on each line of input commits events for so many seconds."""
    from server import app as application
    from server import log
    from server.config import load
    from server.db.migrate import migrate
    from server.db.opening import open_database
    from server.settings.events import SettingUpdated

    config = load(
        None, database_url=f"sqlite:///{database}", analysis_server_command="", audio_server_ws_url="", port=0,
        auto_analyze_new_tracks=False, log_level="warning",
    )  # fmt: skip
    log.configure(config)
    opened = open_database(config)
    await opened.open()
    await migrate(opened)
    app = await application.build(config, opened)

    async def emit(first: int) -> None:
        async with app.uow() as tx:
            now = time.monotonic_ns()
            tx.emit(*(SettingUpdated(key="n", value=[n, now]) for n in range(first, first + BATCH)))

    from aiohttp import web

    from server.supervise import Supervisor

    runner = web.AppRunner(app.http, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    ending = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(Supervisor(app.services).run(ending))
        await _command(runner.addresses[0][1], emit)
        await app.hub.close()
        ending.set()
    await runner.cleanup()
    await application.close(app)


async def _serve_bare() -> None:
    """The floor's process: frames as the hub would send them, built once and written to every socket."""
    writers: list[asyncio.StreamWriter] = []

    def frame(message: object) -> bytes:
        payload = orjson.dumps(message)
        size = len(payload)
        return (struct.pack("!BB", 0x81, size) if size < 126 else struct.pack("!BBH", 0x81, 126, size)) + payload

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(
            b"HTTP/1.1 101 Switching Protocols\r\n\r\n" + frame({"type": "hello"}) + frame({"type": "subscribed"})
        )
        writers.append(writer)
        with suppress(ConnectionError):
            await reader.read()
        writers.remove(writer)

    async def emit(first: int) -> None:
        now = time.monotonic_ns()
        wire = frame(
            {
                "type": "events",
                "events": [
                    {"seq": n, "event": "setting:updated", "ts": "2026-05-01T20:15:04.123Z",
                     "data": {"key": "n", "value": [n, now]}}
                    for n in range(first, first + BATCH)
                ],
            }
        )  # fmt: skip
        for writer in writers:
            writer.transport.write(wire)

    server = await asyncio.start_server(accept, "127.0.0.1", 0, backlog=4096)
    await _command(server.sockets[0].getsockname()[1], emit)
    server.close()


async def _command(port: int, emit: Callable[[int], Awaitable[None]]) -> None:
    """Say the port; then emit at the set rate whenever a line of input says for how long; end with the input."""
    print(port, flush=True)
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        begun = loop.time()
        for first in range(0, int(float(line) * EVENTS_PER_SECOND), BATCH):
            await asyncio.sleep(begun + first / EVENTS_PER_SECOND - loop.time())
            await emit(first)


@dataclass(frozen=True, slots=True)
class Result:
    p50: float
    p99: float
    cores: float
    memory_mb: float


async def _measure(arguments: list[str], clients: int, seconds: float, stalled: int = 0) -> Result:
    """One server process, one run; raises RuntimeError unless every client got everything in order."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "scripts.bench.websocket_fanout", *arguments,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    loop = asyncio.get_running_loop()
    transports: list[asyncio.BaseTransport] = []
    deaf: list[sockets.socket] = []
    try:
        port = int(await process.stdout.readline())
        tally = Tally(expected=int(seconds * EVENTS_PER_SECOND))
        subscribed = asyncio.Semaphore(0)
        for n in range(clients):
            reader = Reader(tally, subscribed, keeps_latencies=n % _LATENCY_SAMPLE == 0)
            transport, _ = await loop.create_connection(lambda reader=reader: reader, "127.0.0.1", port)  # type: ignore[misc] # bound at once
            transports.append(transport)
        for _ in range(clients):
            await subscribed.acquire()
        for _ in range(stalled):
            silent = sockets.create_connection(("127.0.0.1", port))
            silent.sendall(_HANDSHAKE)
            deaf.append(silent)
        before = cpu_seconds(process.pid)
        process.stdin.write(f"{seconds}\n".encode())
        async with asyncio.timeout(seconds * 4 + 120):
            while tally.complete < clients:
                tally.done.clear()
                await tally.done.wait()
        used = cpu_seconds(process.pid) - before
        if tally.out_of_order:
            raise RuntimeError(f"{tally.out_of_order} events came out of order")
        return Result(
            percentile(tally.latencies, 0.5),
            percentile(tally.latencies, 0.99),
            used / seconds,
            resident_mb(process.pid),
        )
    finally:
        for connected in transports:
            connected.close()
        for silent in deaf:
            silent.close()
        process.terminate()
        await process.wait()


async def run(counts: list[int], seconds: float) -> None:
    show(f"{EVENTS_PER_SECOND} events/s to …", "Mismo", "bare asyncio", None)
    for clients in counts:
        with tempfile.TemporaryDirectory() as folder:
            ours = await _measure(["--serve", str(Path(folder) / "a.db")], clients, seconds)
            beside = await _measure(["--serve", str(Path(folder) / "b.db")], clients, seconds, stalled=1)
        bare = await _measure(["--serve-bare"], clients, seconds)
        name = f"{clients} clients"
        show(f"{name}: p50, ms", f"{ours.p50:.1f}", f"{bare.p50:.1f}", None)
        show(f"{name}: p99, ms", f"{ours.p99:.1f}", f"{bare.p99:.1f}", None)
        show(f"{name}: p99 beside a stalled one, ms", f"{beside.p99:.1f}", f"{ours.p99:.1f}", beside.p99 / ours.p99)
        show(f"{name}: cores", f"{ours.cores:.2f}", f"{bare.cores:.2f}", ours.cores / bare.cores)
        show(f"{name}: cores beside a stalled one", f"{beside.cores:.2f}", f"{ours.cores:.2f}", None)
        show(f"{name}: memory, MB", f"{ours.memory_mb:.0f}", f"{bare.memory_mb:.0f}", None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, nargs="+", default=[10, 100, 1000])
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    parser.add_argument("--serve-bare", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        asyncio.run(_serve(given.serve))
    elif given.serve_bare:
        asyncio.run(_serve_bare())
    else:
        asyncio.run(run(given.clients, given.seconds))


if __name__ == "__main__":
    main()
