"""`mismo scan`: through the running server if there is one, else by itself."""

from __future__ import annotations

import argparse
import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import aiohttp
import orjson

from server import app, errors, ids
from server.access.service import AccessService
from server.api.runner import Runner
from server.cli.lock import AlreadyRunning, Lock, only_one
from server.cli.opened import opened
from server.cli.output import complain
from server.cli.progress import Display
from server.clock import SystemClock
from server.config import Config
from server.scanning.model import Strategy
from server.supervise import Supervisor

NAME = "scan"
HELP = "scan a folder (it is added to the library if need be), or all library directories"
EXAMPLE = "mismo scan ~/Music --strategy full"
_ENDED = {"complete", "cancelled", "failed"}
_ENDS = {f"library:directory:scan:{state}" for state in _ENDED}


def arguments(parser: argparse.ArgumentParser) -> None:
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("path", nargs="?", type=Path, help="the folder; one inside a library directory is scanned alone")
    what.add_argument("--all", action="store_true", help="every library directory")
    parser.add_argument("--strategy", choices=[strategy.value for strategy in Strategy], default="hybrid")


async def run(config: Config, given: argparse.Namespace) -> int:
    path = None if given.all else os.fsdecode(os.path.abspath(given.path.expanduser()))  # noqa: ASYNC240 # reads nothing
    try:
        with only_one(config) as lock:
            async with _own_server(config, lock) as url:
                return await _scan(url, config.api_token, path, given.strategy)
    except AlreadyRunning as other:
        if not other.url:
            raise
        async with _token(config) as token:
            return await _scan(other.url, token, path, given.strategy)


@asynccontextmanager
async def _own_server(config: Config, lock: Lock) -> AsyncIterator[str]:
    """A server for the time of the scan, on a free port of the loopback address, without companions."""
    alone = replace(
        config,
        host="127.0.0.1",
        analysis_server_command="",
        audio_server_command=None,
        audio_server_ws_url="",
        scan_process=False,  # there is nobody else whom it could keep waiting
    )
    async with opened(alone, lock) as database:
        made = await app.build(alone, database)
        made.watcher.switch_off()  # what is asked for is scanned, and nothing else
        runner = Runner(made.http, shutdown_timeout=1)
        await runner.setup()
        await aiohttp.web.TCPSite(runner, alone.host, 0).start()
        ending = asyncio.Event()
        refusal: errors.StartupError | None = None
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(Supervisor(made.services).run(ending))
                try:
                    yield f"http://{alone.host}:{runner.addresses[0][1]}"
                except errors.StartupError as error:
                    refusal = error  # raised in here, the group would wrap it
                finally:
                    await made.hub.close()
                    ending.set()
            if refusal is not None:
                raise refusal
        finally:
            await runner.cleanup()
            await app.close(made)


@asynccontextmanager
async def _token(config: Config) -> AsyncIterator[str | None]:
    """What the running server wants to see: `API_TOKEN`, or else a token for the time of the scan."""
    if config.api_token is not None or config.is_loopback:
        yield config.api_token
        return
    async with opened(config) as database:
        access = AccessService(database, SystemClock(), None)
        name = f"scan {ids.new_id()}"
        token = await access.create(name)
        try:
            yield token
        finally:
            await access.revoke(name)


async def _scan(url: str, token: str | None, path: str | None, strategy: str) -> int:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        async with (
            aiohttp.ClientSession(url, headers=headers) as session,
            session.ws_connect("/ws?topics=library:directory:scan:*", max_msg_size=0) as socket,
        ):
            for _ in range(2):  # hello, subscribed
                await socket.receive_json()
            scanner = _Scanner(session, strategy)
            for directory, folder in await scanner.directories(path):
                await scanner.start(directory, folder)
            return await scanner.follow(socket)
    except (OSError, aiohttp.ClientError, TypeError) as error:
        # TypeError: the socket was closed instead of giving another message.
        raise errors.StartupError(f"lost the server that works on this database, at {url}: {error}") from error


@dataclass(frozen=True, slots=True)
class _Directory:
    id: str
    path: str


class _Scanner:
    """Starts scans over HTTP and follows them over the websocket."""

    def __init__(self, session: aiohttp.ClientSession, strategy: str):
        self._session = session
        self._strategy = strategy
        self._display = Display()
        self._waiting: dict[str, str] = {}
        self._went_badly = False

    async def directories(self, path: str | None) -> list[tuple[_Directory, str | None]]:
        """What to scan: library directories, and the folder within when only a part is meant."""
        known = await self._call("GET", "/api/library/directories")
        if path is None:
            for directory in known:
                if not directory["is_available"]:
                    complain(f"not scanned: {directory['path']} ({directory['unavailable_reason']})")
            if not known:
                complain("nothing to scan: there are no library directories yet")
            return [(_Directory(found["id"], found["path"]), None) for found in known if found["is_available"]]
        for directory in known:
            root = directory["path"].rstrip("/") + "/"
            if f"{path}/".startswith(root):
                return [
                    (_Directory(directory["id"], path), path.removeprefix(root) if path != directory["path"] else None)
                ]
        added = await self._call("POST", "/api/library/directories", {"path": path})
        return [(_Directory(added["id"], path), None)]

    async def start(self, directory: _Directory, folder: str | None) -> None:
        """Queue a scan, or join the one that is at work on the directory already."""
        body = {"strategy": self._strategy, "path": folder}
        try:
            scan = await self._call("POST", f"/api/scan/library/{directory.id}", body)
        except _Refused as refusal:
            if refusal.code != "scan_active":
                raise
            complain(f"{directory.path} is being scanned already")
            scan = await self._call("GET", f"/api/scan/library/{directory.id}/status")
        self._waiting[scan["id"]] = directory.path
        await self._look(scan["id"])

    async def follow(self, socket: aiohttp.ClientWebSocketResponse) -> int:
        """Show the scans until all have ended; 1 when one didn't complete, or when files failed."""
        while self._waiting:
            message = orjson.loads(await socket.receive_str())
            if message["type"] == "reset":
                for scan_id in list(self._waiting):
                    await self._look(scan_id)
            for event in message.get("events", []):
                data = event["data"]
                if event["event"] in _ENDS and data["scan"]["id"] in self._waiting:
                    self._end(data["scan"])
                elif event["event"].endswith(":progress") and data["scan_id"] in self._waiting:
                    self._display.progress(event)
        return int(self._went_badly)

    async def _look(self, scan_id: str) -> None:
        scan = await self._call("GET", f"/api/scan/{scan_id}")
        if scan["state"] in _ENDED:
            self._end(scan)

    def _end(self, scan: Mapping[str, Any]) -> None:
        self._display.end(scan, self._waiting.pop(scan["id"]))
        self._went_badly |= scan["state"] != "complete" or scan["counts"]["failed"] > 0

    async def _call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        async with self._session.request(method, path, json=body) as response:
            answer = orjson.loads(await response.read())
        if not answer["success"]:
            raise _Refused(answer["detail"], answer["code"])
        return answer["data"]


class _Refused(errors.StartupError):
    """The server doesn't do what it was asked for."""

    def __init__(self, message: str, code: str):
        super().__init__(message)
        self.code = code
