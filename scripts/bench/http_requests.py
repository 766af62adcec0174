"""REST requests a second: one track, and a page of 50, each beside its floor or peer of the same run.

python -m scripts.bench.http_requests LIBRARY [--requests 20000] [--connections 16]

The floor of one track is a bare aiohttp handler that returns the same bytes. The peer of a page is starlette, uvicorn,
aiosqlite and orjson with the same query over the same database (they are installed for this: the extra `bench`). Every
server is a process of its own, every client connection keeps one request under way, and the rounds of the servers take
turns, so that a busy machine slows all of them alike. The last column of each line is the ratio of the rates; the line
below holds what a request costs in processor time, which a busy machine changes least.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
from aiohttp import web

from scripts.bench.measure import cpu_seconds, show
from scripts.bench.mismo import Mismo

ROUNDS = 5
# Of 50 tracks, sorted by title: what the peer reads row by row, and makes its JSON of.
PEER_SQL = "SELECT * FROM tracks ORDER BY (title_fold IS NULL), title_fold, pk LIMIT 50 OFFSET ?"
PEER_COUNT = "SELECT count(*) FROM tracks"


class Connection(asyncio.Protocol):
    """Sends one request after the other, and reads no more of an answer than its length: a client that costs little."""

    def __init__(self, requests: Sequence[bytes], done: asyncio.Future[None]):
        self._requests = iter(requests)
        self._done = done
        self._received = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._next()

    def data_received(self, data: bytes) -> None:
        self._received += data
        end = self._received.find(b"\r\n\r\n")
        if end < 0:
            return
        head = bytes(self._received[:end]).lower()
        if not head.startswith(b"http/1.1 200"):
            self._done.set_exception(RuntimeError(bytes(self._received).decode(errors="replace")))
            self._transport.close()
            return
        length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
        if len(self._received) >= end + 4 + length:
            self._received.clear()
            self._next()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._done.done():
            self._done.set_exception(exc or ConnectionError("the server closed the connection"))

    def _next(self) -> None:
        request = next(self._requests, None)
        if request is None:
            self._done.set_result(None)
            self._transport.close()
        else:
            self._transport.write(request)


@dataclass(frozen=True, slots=True)
class Server:
    url: str
    pid: int


async def rate(url: str, paths: Sequence[str], requests: int, connections: int) -> float:
    """Requests a second, over a number of connections that take the paths in turn."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    loop = asyncio.get_running_loop()
    sent = [f"GET {path} HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode() for path in paths]
    ends = []
    started = time.perf_counter()
    for number in range(connections):
        own = [sent[(number + turn * connections) % len(sent)] for turn in range(requests // connections)]
        done = loop.create_future()
        await loop.create_connection(lambda own=own, done=done: Connection(own, done), parts.hostname, parts.port)  # type: ignore[misc] # mypy can't infer a lambda's defaults
        ends.append(done)
    await asyncio.gather(*ends)
    return requests / (time.perf_counter() - started)


async def serve_floor(content: bytes) -> None:
    """A bare aiohttp handler that returns one answer."""

    async def handler(_: web.Request) -> web.Response:
        return web.Response(body=content, content_type="application/json")

    app = web.Application()
    app.router.add_get("/{path:.*}", handler)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(f"http://127.0.0.1:{runner.addresses[0][1]}", flush=True)
    await asyncio.Event().wait()


async def serve_peer(database: str) -> None:
    """Starlette, uvicorn, aiosqlite and orjson: rows to dicts to JSON, with one connection, as tutorials do it."""
    import aiosqlite
    import orjson
    import uvicorn
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

    connection = await aiosqlite.connect(f"file:{database}?mode=ro", uri=True)
    connection.row_factory = aiosqlite.Row

    async def page(request: Request) -> Response:
        number = int(request.query_params.get("page", "1"))
        rows = [dict(row) for row in await connection.execute_fetchall(PEER_SQL, ((number - 1) * 50,))]
        total = next(iter(await connection.execute_fetchall(PEER_COUNT)))[0]
        for row in rows:
            row["path"] = row["path"].decode(errors="replace")
        body = orjson.dumps({"success": True, "data": rows, "pagination": {"page": number, "total": total}})
        return Response(body, media_type="application/json")

    server = uvicorn.Server(
        uvicorn.Config(Starlette(routes=[Route("/api/tracks", page)]), port=0, log_level="error", access_log=False)
    )
    serving = asyncio.ensure_future(server.serve())
    while not server.started:  # noqa: ASYNC110 # uvicorn offers nothing to wait for
        await asyncio.sleep(0.01)
    print(f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}", flush=True)
    await serving


@asynccontextmanager
async def started(kind: str, argument: str) -> AsyncIterator[Server]:
    """The floor or the peer in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "scripts.bench.http_requests", kind, argument, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        url = (await asyncio.wait_for(process.stdout.readline(), 30)).decode().strip()
        yield Server(url, process.pid)
    finally:
        process.terminate()
        await process.wait()


async def compare(
    name: str, ours: Server, theirs: Server, paths: Sequence[str], requests: int, connections: int
) -> None:
    """Rounds in turn, after one of each to warm up; shows the medians."""
    rates: dict[Server, list[float]] = {ours: [], theirs: []}
    costs: dict[Server, list[float]] = {ours: [], theirs: []}
    each = requests // ROUNDS
    for turn in range(ROUNDS + 1):
        for server, found in rates.items():
            before = cpu_seconds(server.pid)
            figure = await rate(server.url, paths, each, connections)
            if turn:
                found.append(figure)
                costs[server].append((cpu_seconds(server.pid) - before) / each * 1e6)
    own, other = (statistics.median(found) for found in rates.values())
    show(name, f"{own:.0f}/s", f"{other:.0f}/s", own / other)
    own, other = (statistics.median(found) for found in costs.values())
    show("  processor time", f"{own:.0f} us", f"{other:.0f} us", other / own)


async def measure(library: Path, requests: int, connections: int) -> None:
    has_peer = all(importlib.util.find_spec(name) is not None for name in ("starlette", "uvicorn"))
    with tempfile.TemporaryDirectory() as folder:
        database = Path(folder) / "library.db"
        async with Mismo.started(database, SCAN_WORKERS="2") as mismo:
            await mismo.scan(await mismo.add(library))
            ids = [track["id"] for track in await mismo.call("GET", "/api/tracks?limit=1000")]
            one = f"/api/tracks/{ids[0]}"
            async with aiohttp.ClientSession() as session, session.get(mismo.url + one) as answer:
                (Path(folder) / "one.json").write_bytes(await answer.read())
            own = Server(mismo.url, mismo.pid)
            show("", "Mismo", "floor or peer", None)
            async with started("floor", str(Path(folder) / "one.json")) as floor:
                await compare("one track, always the same", own, floor, [one], requests, connections)
                every = [f"/api/tracks/{track_id}" for track_id in ids]
                await compare("one track of 1,000", own, floor, every, requests, connections)
            if not has_peer:
                print("no peer for pages: pip install 'mismo[bench]'")
                return
            async with started("peer", str(database)) as peer:
                few = requests // 10
                await compare("page of 50", own, peer, ["/api/tracks?sort=title"], few, connections)
                pages = [f"/api/tracks?sort=title&page={page}" for page in range(1, max(2, len(ids) // 50))]
                await compare("page of 50, all pages in turn", own, peer, pages, few, connections)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("library", help="a folder of music; or `floor FILE`, `peer DATABASE` (used by itself)")
    parser.add_argument("argument", nargs="?", help=argparse.SUPPRESS)
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--connections", type=int, default=16)
    given = parser.parse_args()
    if given.library == "floor" and given.argument:
        asyncio.run(serve_floor(Path(given.argument).read_bytes()))
    elif given.library == "peer" and given.argument:
        asyncio.run(serve_peer(given.argument))
    else:
        asyncio.run(measure(Path(given.library).absolute(), given.requests, given.connections))


if __name__ == "__main__":
    main()
