"""A Mismo of its own process, for benchmarks to drive through its API."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp
import orjson


@dataclass(frozen=True, slots=True)
class Scan:
    """A finished scan, and the seconds from its start to its end as the server saw them."""

    data: Mapping[str, Any]
    seconds: float


@dataclass(slots=True)
class Mismo:
    url: str
    pid: int
    session: aiohttp.ClientSession

    @classmethod
    @asynccontextmanager
    async def started(cls, database: Path, **environment: str) -> AsyncIterator[Mismo]:
        """Start a server on a SQLite file and a free port, without companions; stop it in the end."""
        settings = {
            "DATABASE_URL": f"sqlite:///{database}",
            "ANALYSIS_SERVER_COMMAND": "",
            "AUTO_ANALYZE_NEW_TRACKS": "false",
            "AUDIO_SERVER_WS_URL": "",
            "LOG_LEVEL": "warning",
            **environment,
        }
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "server", "serve", "--port", "0",
            env={**os.environ, **settings}, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert process.stdout is not None
        try:
            line = (await asyncio.wait_for(process.stdout.readline(), 30)).decode()
            url = line.rsplit(" ", 1)[-1].strip()
            async with aiohttp.ClientSession(url) as session:
                yield cls(url, process.pid, session)
        finally:
            process.terminate()
            await process.wait()

    async def call(self, method: str, path: str, body: Any = None) -> Any:
        async with self.session.request(method, path, json=body) as answer:
            content = orjson.loads(await answer.read())
            if not content["success"]:
                raise RuntimeError(content["detail"])
            return content["data"]

    async def add(self, library: Path) -> str:
        directory = await self.call("POST", "/api/library/directories", {"path": str(library), "watch": False})
        return str(directory["id"])

    async def scan(self, directory_id: str, **body: Any) -> Scan:
        """Scan, and wait for the end without asking more than a few times a second."""
        async with self.session.ws_connect("/ws?topics=library:directory:scan:*&detail=ids", max_msg_size=0) as socket:
            for _ in range(2):
                await socket.receive()
            scan = await self.call("POST", f"/api/scan/library/{directory_id}", body)
            ends = ("library:directory:scan:complete", "library:directory:scan:failed")
            while True:
                message = orjson.loads((await socket.receive()).data)
                if any(event["event"] in ends for event in message.get("events", [])):
                    break
            data = await self.call("GET", f"/api/scan/{scan['id']}")
        began, ended = (datetime.fromisoformat(data[name]) for name in ("started_at", "finished_at"))
        return Scan(data, (ended - began).total_seconds())
