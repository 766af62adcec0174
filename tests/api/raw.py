"""HTTP by hand, for requests that no decent client would send."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import orjson

PATIENCE_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: names of headers in lower case, the body without the framing of chunks."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)

    def assert_problem(self, status: int, code: str) -> None:
        """It is a failure in the one shape that all failures have."""
        assert self.status == status, (self.status, self.body)
        assert self.headers["content-type"] == "application/problem+json"
        problem = self.json
        assert problem["status"] == status
        assert problem["code"] == code
        assert problem["success"] is False
        assert problem["error"] == problem["detail"]
        assert problem["type"] == f"urn:mismo:error:{code}"
        assert problem["title"]
        assert problem["request_id"]


def request(
    method: str, target: str, *headers: str, host: str | None = "localhost", body: bytes | None = None
) -> bytes:
    """A request as bytes; the length is stated when there is a body."""
    lines = [f"{method} {target} HTTP/1.1", "Connection: close"]
    lines += [] if host is None else [f"Host: {host}"]
    lines += [] if body is None else [f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, *headers, "", ""]).encode("latin-1") + (body or b"")


async def exchange(url: str, sent: bytes) -> Answer:
    """Send bytes to a server and read its answer, to the end of the connection."""
    parts = urlsplit(url)
    async with asyncio.timeout(PATIENCE_SECONDS):
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        try:
            writer.write(sent)
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            status_line, *lines = head.rstrip().split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
            if sent.startswith(b"HEAD "):
                body = await reader.read()
            else:
                body = await reader.readexactly(int(headers.get("content-length", "0")))
        finally:
            writer.close()
    return Answer(int(status_line.split()[1]), headers, body)
