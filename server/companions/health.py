"""How one tells that a companion is ready to work."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

import aiohttp

_TIMEOUT_SECONDS = 2.0
_DEFAULT_PORTS = {"ws": 80, "wss": 443}


class NotReady(Exception):
    """The companion doesn't answer (yet); the message says how."""


class Health(Protocol):
    async def check(self) -> None:
        """Return when the companion works; raise `NotReady` otherwise, within a few seconds."""


@dataclass(frozen=True, slots=True)
class HttpHealth:
    """`GET url` answers 200."""

    url: str

    async def check(self) -> None:
        timeout = aiohttp.ClientTimeout(total=_TIMEOUT_SECONDS)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.get(self.url, allow_redirects=False) as answer,
            ):
                status = answer.status
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise NotReady(f"{self.url} doesn't answer: {_worded(error)}") from error
        if status != 200:
            raise NotReady(f"{self.url} answers {status}")


@dataclass(frozen=True, slots=True)
class WebsocketHealth:
    """A TCP connection to the address of a `ws://` URL is taken; the protocol is for its user to speak."""

    url: str

    async def check(self) -> None:
        parts = urlsplit(self.url)
        try:
            async with asyncio.timeout(_TIMEOUT_SECONDS):
                _, writer = await asyncio.open_connection(parts.hostname, parts.port or _DEFAULT_PORTS[parts.scheme])
                writer.close()
                await writer.wait_closed()
        except (OSError, TimeoutError) as error:
            raise NotReady(f"{self.url} takes no connection: {_worded(error)}") from error


def _worded(error: Exception) -> str:
    return str(error) or type(error).__name__
