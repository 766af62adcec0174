"""Scans that are started over HTTP, and followed over the websocket until all have ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
import orjson

from server import errors
from server.cli.output import complain
from server.cli.progress import Display

_ENDED = {"complete", "cancelled", "failed"}
_ENDS = {f"library:directory:scan:{state}" for state in _ENDED}


async def scan(url: str, token: str | None, path: str | None, strategy: str) -> int:
    """Scan a folder, or with None all library directories; returns the exit code."""
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
