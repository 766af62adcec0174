"""Mismo's side of the wire protocol: asking the analysis server."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import aiohttp
import orjson
from yarl import URL

from server import errors
from server.analysis import wire
from server.analysis.job import Job
from server.analysis.stage import options
from server.filesystem import FileSystem

_LARGEST_ANSWER = 64 * 1024
_LONGEST_JOB_ID = 200
_NO_NAMES = frozenset({".", ".."})  # they lead to another address, however they are quoted
_BUSY = frozenset({429, 502, 503, 504})
_LIVE = frozenset({"queued", "processing", "running", "pending", "started", "in_progress"})


class Away(Exception):
    """The server doesn't answer, or has no room: nothing is wrong with what it was asked."""


class Broken(Away):
    """The connection broke while the server was dealing with a request."""


class Refused(Exception):
    """The server answered, but not with what was asked for; the message says what it said."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What a server says of a job: whether it knows it, and whether it still works on it."""

    is_known: bool
    is_live: bool


class AnalysisClient:
    """Talks to one analysis server. What it answers is never kept beyond some kilobytes, nor waited for for long."""

    def __init__(self, url: str, *, is_remote: bool, answer_seconds: float, upload_seconds: float):
        self.url = URL(url)
        self._is_remote = is_remote
        self._answer = aiohttp.ClientTimeout(total=answer_seconds)
        self._upload = aiohttp.ClientTimeout(total=upload_seconds, sock_connect=answer_seconds)
        self._session: aiohttp.ClientSession | None = None

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[None]:
        """The connections live as long as the block."""
        async with aiohttp.ClientSession() as session:
            self._session = session
            try:
                yield
            finally:
                self._session = None

    async def health(self) -> dict[str, Any]:
        """What the server says of itself. Raises `Away`."""
        try:
            status, answer = await self._ask("GET", self.url / "health")
        except Refused as refused:
            raise Away(str(refused)) from refused
        if status != 200:
            raise Away(f"the analysis server's health check answers {status}")
        return answer

    async def submit(self, job: Job, path: bytes, callback_url: str, files: FileSystem) -> str:
        """Ask for the job's stages; returns the server's own id for it. Raises `Away`, `Refused`, OSError."""
        fields = {
            "track_hash": job.audio_hash,
            "options": options(job.asked),
            "callback_url": callback_url,
        }
        try:
            # A path that isn't UTF-8 has no JSON form; such a file is sent itself.
            readable = None if self._is_remote else path.decode()
        except UnicodeDecodeError:
            readable = None
        if readable is not None:
            body = {"file_path": readable, **fields, "stem_delivery_mode": "path"}
            status, answer = await self._ask("POST", self.url / "jobs", orjson.dumps(body))
        else:
            status, answer = await self._send(path, {**fields, "stem_delivery_mode": "callback"}, files)
        if status in _BUSY:
            raise Away(f"the analysis server answers {status}")
        if status // 100 != 2:
            raise Refused(f"the analysis server answers {status}: {_reason(answer)}")
        try:
            job_id = wire.name(answer, "job_id", _LONGEST_JOB_ID)
        except errors.Invalid as error:
            raise Refused(f"the analysis server's answer is bad: {error.detail}") from None
        if not job_id or job_id in _NO_NAMES:
            raise Refused("the analysis server's answer names no job_id")
        return job_id

    async def _send(self, path: bytes, fields: Mapping[str, Any], files: FileSystem) -> tuple[int, dict[str, Any]]:
        file = await files.call(open, path, "rb")
        try:
            form = aiohttp.FormData()
            for name, value in fields.items():
                text = value if isinstance(value, str) else orjson.dumps(value).decode()
                form.add_field(name, text)
            suffix = os.path.splitext(path)[1].decode("ascii", "replace")
            form.add_field(
                "file", file, filename=f"{fields['track_hash']}{suffix}", content_type="application/octet-stream"
            )  # fmt: skip
            return await self._ask("POST", self.url / "jobs", form, self._upload)
        finally:
            file.close()

    async def standing(self, server_job_id: str) -> Standing:
        """Raises `Away`."""
        try:
            status, answer = await self._ask("GET", self._job(server_job_id))
        except Refused:
            # It answers something; that may be a job as well as not, and the deadline decides.
            return Standing(is_known=True, is_live=True)
        if status == 404:
            return Standing(is_known=False, is_live=False)
        if status != 200:
            raise Away(f"the analysis server answers {status}")
        said = answer.get("status")
        # What isn't a word says nothing; the deadline decides.
        return Standing(is_known=True, is_live=not isinstance(said, str) or said in _LIVE)

    async def drop(self, server_job_id: str) -> None:
        """The server needn't go on with a job. Raises `Away`."""
        try:
            await self._ask("DELETE", self._job(server_job_id))
        except Refused:
            return

    async def fetch(self, url: str, limit: int) -> AsyncIterator[bytes]:
        """The content of a URL of the analysis server's own. Raises `Away`, `Refused`, `Invalid`."""
        try:
            target = URL(url)
            is_own = target.origin() == self.url.origin()
        except ValueError:
            raise errors.Invalid.field("stems", "has a URL that isn't one") from None
        if not is_own:
            raise errors.Invalid.field("stems", "a URL must lie on the analysis server itself")
        total = 0
        try:
            async with self._open.get(target, timeout=self._upload, allow_redirects=False) as answer:
                if answer.status != 200:
                    raise Refused(f"{url} answers {answer.status}")
                async for chunk in answer.content.iter_chunked(1 << 18):
                    total += len(chunk)
                    if total > limit:
                        raise Refused(f"{url} is larger than {limit} bytes")
                    yield chunk
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Away(f"the analysis server can't be reached: {_worded(error)}") from error

    def _job(self, server_job_id: str) -> URL:
        """The address of a job, whatever the server calls it: its id is one segment of the path."""
        return URL(f"{self.url / 'jobs'}/{quote(server_job_id, safe='')}", encoded=True)

    @property
    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise Away("Mismo isn't talking to the analysis server yet")
        return self._session

    async def _ask(
        self, method: str, url: URL, body: bytes | aiohttp.FormData | None = None,
        timeout: aiohttp.ClientTimeout | None = None,
    ) -> tuple[int, dict[str, Any]]:  # fmt: skip
        """Status and JSON object. Raises `Away` without an answer, `Refused` for one that isn't a small JSON object."""
        headers = {"Content-Type": "application/json"} if isinstance(body, bytes) else None
        try:
            async with self._open.request(
                method,
                url,
                data=body,
                headers=headers,
                timeout=timeout or self._answer,
                allow_redirects=False,
            ) as answer:
                status = answer.status
                content = bytearray()
                async for chunk in answer.content.iter_any():
                    content += chunk
                    if len(content) > _LARGEST_ANSWER:
                        raise Refused(f"the analysis server's answer is larger than {_LARGEST_ANSWER} bytes")
        except TimeoutError as error:
            if method == "POST":
                raise Refused("the analysis server took the job and didn't answer in time") from error
            raise Away("the analysis server doesn't answer in time") from error
        except aiohttp.ClientConnectorError as error:
            raise Away(f"the analysis server can't be reached: {_worded(error)}") from error
        except (aiohttp.ClientError, OSError) as error:
            raise Broken(f"the connection to the analysis server broke: {_worded(error)}") from error
        try:
            values = orjson.loads(content) if content else {}
        except orjson.JSONDecodeError as error:
            if status // 100 != 2:
                return status, {}
            raise Refused("the analysis server's answer isn't JSON") from error
        return status, values if isinstance(values, dict) else {}


def _reason(answer: Mapping[str, Any]) -> str:
    return wire.words(answer, "error", "detail", "message", longest=500) or "it doesn't say why"


def _worded(error: Exception) -> str:
    return str(error) or type(error).__name__
