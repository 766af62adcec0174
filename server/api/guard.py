"""Who may ask: the Host and Origin allow-lists, and bearer tokens."""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable, Iterable
from urllib.parse import urlsplit

from aiohttp import web

from server import errors

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
WEBSOCKET_PROTOCOL = "mismo.v1"
_BEARER_PROTOCOL = "bearer."

VerifyToken = Callable[[str], Awaitable[bool]]


class Guard:
    """Checks every request, health included, before anything else looks at it."""

    def __init__(
        self,
        *,
        bound_host: str,
        allowed_hosts: Iterable[str],
        cors_origins: Iterable[str],
        verify_token: VerifyToken | None,
    ):
        """`verify_token` is None where no token is needed: on a loopback address without a configured token."""
        self._hosts = {"localhost", bound_host.casefold(), *(host.casefold() for host in allowed_hosts)}
        self.cors_origins = frozenset(origin.rstrip("/") for origin in cors_origins)
        self._verify_token = verify_token

    def check_host(self, request: web.Request) -> None:
        """Refuses a Host that isn't ours: a page under a rebound name sends its own."""
        if not self._is_allowed_host(request.headers.get("Host", "")):
            raise errors.HostNotAllowed

    def check_origin(self, request: web.Request) -> None:
        """Refuses another site's page that wants to change something, or to open a websocket."""
        origin = request.headers.get("Origin")
        is_websocket = request.headers.get("Upgrade", "").casefold() == "websocket"
        if origin is None or (request.method in SAFE_METHODS and not is_websocket):
            return
        if origin not in self.cors_origins and not self._is_allowed_host(urlsplit(origin).netloc):
            raise errors.OriginNotAllowed

    async def check_token(self, request: web.Request) -> None:
        if self._verify_token is None:
            return
        token = _presented(request)
        if token is None or not await self._verify_token(token):
            raise errors.Unauthorized

    def _is_allowed_host(self, netloc: str) -> bool:
        host = _host_name(netloc)
        return host is not None and (host in self._hosts or _is_loopback(host))


def _host_name(netloc: str) -> str | None:
    try:
        return (urlsplit(f"//{netloc}").hostname or "").casefold().rstrip(".") or None
    except ValueError:
        return None


def _is_loopback(host: str) -> bool:
    # By the address itself: a name may begin with "127." and belong to anybody.
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _presented(request: web.Request) -> str | None:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.casefold() == "bearer" and token.strip():
        return token.strip()
    # A browser's websocket can't set headers; it offers the token as a subprotocol.
    for offered in request.headers.get("Sec-WebSocket-Protocol", "").split(","):
        if offered.strip().startswith(_BEARER_PROTOCOL):
            return offered.strip().removeprefix(_BEARER_PROTOCOL)
    return None
