"""`mismo scan`: through the running server if there is one, else by itself."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

import aiohttp
import orjson
import websockets

from server import app, errors
from server.cli.lock import AlreadyRunning, only_one
from server.cli.opened import opened
from server.cli.output import is_terminal, say, say_json
from server.config import Config
from server.scanning.model import Strategy
from server.supervise import Supervisor

NAME = "scan"
HELP = "scan a folder (it is added to the library if need be), or all library directories"
EXAMPLE = "mismo scan ~/Music --strategy full"
_ENDS = {f"library:directory:scan:{state}" for state in ("complete", "cancelled", "failed")}


def arguments(parser: argparse.ArgumentParser) -> None:
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("path", nargs="?", type=Path, help="the folder")
    what.add_argument("--all", action="store_true", help="every library directory")
    parser.add_argument("--strategy", choices=[strategy.value for strategy in Strategy], default="hybrid")


async def run(config: Config, given: argparse.Namespace) -> int:
    path = None if given.all else os.fsdecode(given.path.expanduser().absolute())
    try:
        with only_one(config):
            async with _own_server(config) as url:
                return await _scan(url, config, path, given.strategy)
    except AlreadyRunning:
        host = f"[{config.host}]" if ":" in config.host else config.host
        return await _scan(f"http://{host}:{config.port}", config, path, given.strategy)


@asynccontextmanager
async def _own_server(config: Config) -> AsyncIterator[str]:
    """A server for the time of the scan, on a free port of the loopback address."""
    async with opened(config) as database:
        made = await app.build(config, database)
        runner = aiohttp.web.AppRunner(made.http, access_log=None)
        await runner.setup()
        await aiohttp.web.TCPSite(runner, "127.0.0.1", 0).start()
        ending = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(Supervisor(made.services).run(ending))
            try:
                yield f"http://127.0.0.1:{runner.addresses[0][1]}"
            finally:
                ending.set()
        await runner.cleanup()
        await made.workers.close()
        made.file_system.close()


async def _scan(url: str, config: Config, path: str | None, strategy: str) -> int:
    headers = {"Authorization": f"Bearer {config.api_token}"} if config.api_token else {}
    async with aiohttp.ClientSession(url, headers=headers) as session:
        socket_url = f"{url.replace('http', 'ws', 1)}/ws?topics=library:directory:scan:*"
        try:
            async with websockets.connect(socket_url, additional_headers=headers, max_size=None) as socket:
                for _ in range(2):  # hello, subscribed
                    await socket.recv()
                waiting = [
                    (await _call(session, "POST", f"/api/scan/library/{directory}", {"strategy": strategy}))["id"]
                    for directory in await _directories(session, path)
                ]
                return await _follow(socket, set(waiting))
        except (OSError, websockets.WebSocketException) as error:
            raise errors.StartupError(
                f"can't reach the server that works on this database, at {url}: {error}"
            ) from error


async def _directories(session: aiohttp.ClientSession, path: str | None) -> list[str]:
    known = await _call(session, "GET", "/api/library/directories")
    if path is None:
        return [directory["id"] for directory in known if directory["is_available"]]
    for directory in known:
        if directory["path"] == path:
            return [directory["id"]]
    return [(await _call(session, "POST", "/api/library/directories", {"path": path}))["id"]]


async def _call(session: aiohttp.ClientSession, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
    async with session.request(method, path, json=body) as response:
        answer = orjson.loads(await response.read())
        if not answer["success"]:
            raise errors.StartupError(answer["detail"])
        return answer["data"]


class _Socket(Protocol):
    async def recv(self) -> str | bytes: ...


async def _follow(socket: _Socket, waiting: set[str]) -> int:
    """Show the scans until all have ended; 1 when one didn't complete, or when files failed."""
    failed = False
    while waiting:
        message = orjson.loads(await socket.recv())
        for event in message.get("events", []):
            data = event["data"]
            if event["event"] in _ENDS and data["scan"]["id"] in waiting:
                waiting.discard(data["scan"]["id"])
                failed |= _show_end(data["scan"])
            elif event["event"].endswith(":progress") and data["scan_id"] in waiting:
                _show_progress(event)
    return int(failed)


def _show_progress(event: Mapping[str, Any]) -> None:
    if not is_terminal():
        say_json(event)
        return
    data = event["data"]
    total = data["total"] or data["found"]
    width = 30
    filled = round(width * min(1, data["done"] / total)) if total else 0
    bar = "█" * filled + "·" * (width - filled)
    remaining = f", {data['eta']:.0f} s left" if data["eta"] is not None else ""
    sys.stdout.write(f"\r{bar} {data['done']}/{total} files, {data['rate']:.0f}/s{remaining}\x1b[K")
    sys.stdout.flush()


def _show_end(scan: Mapping[str, Any]) -> bool:
    """Says how a scan went; whether it went badly."""
    if not is_terminal():
        say_json({"event": f"library:directory:scan:{scan['state']}", "data": {"scan": scan}})
    else:
        counts: Mapping[str, int] = scan["counts"]
        say(
            "\r\x1b[K"
            + f"{scan['state']}: "
            + ", ".join(f"{number} {name}" for name, number in counts.items() if number)
        )
        _list(scan["failures"], counts["failed"])
        if scan["error"]:
            say(scan["error"])
    return bool(scan["state"] != "complete" or scan["counts"]["failed"])


def _list(failures: Sequence[Mapping[str, str]], total: int) -> None:
    for failure in failures:
        say(f"  {failure['path']}: {failure['reason']} ({failure['code']})")
    if total > len(failures):
        say("  … see GET /api/scan/history for the rest")
