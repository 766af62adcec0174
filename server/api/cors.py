"""Cross-origin requests from the origins that `CORS_ORIGINS` lists (the Fetch standard, "CORS protocol")."""

from __future__ import annotations

from collections.abc import Collection

from aiohttp import web

_EXPOSED = "ETag, Location, Retry-After, X-Mismo-Seq, X-Request-Id"
_PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, HEAD, POST, PUT, PATCH, DELETE",
    "Access-Control-Allow-Headers": (
        "Authorization, Content-Type, Idempotency-Key, If-None-Match, Range, X-Mismo-Client"
    ),
    "Access-Control-Max-Age": "600",
}


class Cors:
    def __init__(self, origins: Collection[str]):
        self._origins = frozenset(origins)

    def is_preflight(self, request: web.Request) -> bool:
        """Whether a browser asks for leave, for a page that has it."""
        return (
            request.method == "OPTIONS"
            and "Access-Control-Request-Method" in request.headers
            and request.headers.get("Origin") in self._origins
        )

    def add_to(self, request: web.Request, response: web.StreamResponse) -> None:
        # Also where it makes no difference now: a cache must not give one origin the answer for another.
        response.headers["Vary"] = "Origin"
        origin = request.headers.get("Origin")
        if origin not in self._origins:
            return
        response.headers["Access-Control-Allow-Origin"] = origin
        response.headers["Access-Control-Expose-Headers"] = _EXPOSED
        if self.is_preflight(request):
            response.headers.update(_PREFLIGHT)
