"""Who may ask: the Host and Origin allow-lists, and bearer tokens."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Awaitable, Callable, Iterable

from aiohttp import web

from server import errors

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
WEBSOCKET_PROTOCOL = "mismo.v1"
_BEARER_PROTOCOL = "bearer."
_REMEMBERED = 256
# Strict: what RFC 3986 would also let in (user names, escapes, empty ports) no client of ours sends.
_NETLOC = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*\.?)(?::[0-9]{1,5})?")

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
        self._hosts = {"localhost", *(_normal(host) for host in (bound_host, *allowed_hosts))}
        self.cors_origins = frozenset(origin.rstrip("/").casefold() for origin in cors_origins)
        self._verify_token = verify_token
        # Nearly every request carries one of a few texts, and taking a text apart costs more than all other checks.
        self._known_good: set[str] = set()

    @property
    def needs_token(self) -> bool:
        return self._verify_token is not None

    def check_host(self, request: web.Request) -> None:
        """Refuses a Host that isn't ours: a page under a rebound name sends its own."""
        host = request.headers.get("Host", "")
        if request.host != host and not self._is_allowed_host(request.url.raw_authority):
            raise errors.HostNotAllowed  # that of an absolute target
        if host in self._known_good:
            return
        if not self._is_allowed_host(host):
            raise errors.HostNotAllowed
        if len(self._known_good) >= _REMEMBERED:
            self._known_good.clear()
        self._known_good.add(host)

    def check_origin(self, request: web.Request) -> None:
        """Refuses another site's page that wants to change something, or to open a websocket."""
        origin = request.headers.get("Origin")
        if origin is None:
            return
        is_websocket = request.headers.get("Upgrade", "").casefold() == "websocket"
        if request.method in SAFE_METHODS and not is_websocket:
            return
        if origin not in self.cors_origins and not self._is_own_origin(origin):
            raise errors.OriginNotAllowed

    async def check_token(self, request: web.Request) -> None:
        if self._verify_token is None:
            return
        token = _presented(request)
        if token is None or not await self._verify_token(token):
            raise errors.Unauthorized

    def _is_own_origin(self, origin: str) -> bool:
        scheme, separator, netloc = origin.partition("://")
        return bool(separator) and scheme in ("http", "https") and self._is_allowed_host(netloc)

    def _is_allowed_host(self, netloc: str) -> bool:
        match = _NETLOC.fullmatch(netloc)
        if match is None:
            return False
        host = _normal(match["host"])
        return host in self._hosts or _is_loopback(host)


def _normal(host: str) -> str:
    """A host in the one form that is compared: lower case, no brackets or final dot, an address in its short form."""
    plain = host.strip("[]").casefold().removesuffix(".")
    try:
        return str(ipaddress.ip_address(plain))
    except ValueError:
        return plain


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
    if request.headers.get("Upgrade", "").casefold() != "websocket":
        return None
    for offered in request.headers.get("Sec-WebSocket-Protocol", "").split(","):
        if offered.strip().startswith(_BEARER_PROTOCOL):
            return offered.strip().removeprefix(_BEARER_PROTOCOL)
    return None
