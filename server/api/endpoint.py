"""One route at work: inputs in, the handler's answer out, with ETag, event number and idempotency."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import xxhash
from aiohttp import web

from server import errors, ids
from server.api.answer import Answer, Raw
from server.api.cache import AnswerCache, Finished
from server.api.guard import SAFE_METHODS
from server.api.idempotency import IdempotencyKeys, Stored
from server.api.parse import Inputs, read_body
from server.api.route import Call, Route

_JSON = "application/json; charset=utf-8"
# A browser must not guess a type, and must ask again (with the ETag) instead of showing what it kept.
_COMMON = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-cache"}


class Log(Protocol):
    """Says what is committed; `server.events.log.EventLog` is one."""

    @property
    def seq(self) -> int: ...


class Endpoint:
    def __init__(self, route: Route, log: Log, idempotency: IdempotencyKeys, inputs: Inputs, cache: AnswerCache):
        self.route = route
        self._log = log
        self._idempotency = idempotency
        self._inputs = inputs
        self._cache = cache
        self._has_body = route.method not in SAFE_METHODS and not route.is_upload

    async def serve(self, request: web.Request) -> web.StreamResponse:
        # Read before the query: the answer is true for this number at least, and events after it may be applied again.
        seq = self._log.seq
        is_cacheable = self.route.is_cached and request.method == "GET"
        if is_cacheable and (finished := self._cache.get(request.raw_path, seq)) is not None:
            return self._finished(request, finished)
        query = await self._inputs.query(self.route, request)
        if not self._has_body:
            answer = await self.route.handler(_call(request, query, None))
        else:
            content = await read_body(request, self.route.body_limit)
            if self.route.method == "POST" and "Idempotency-Key" in request.headers:
                return await self._once(request, query, content)
            answer = await self._handle(request, query, content)
        if isinstance(answer, web.StreamResponse):
            return answer
        if answer.seq is not None:
            seq = answer.seq
        if isinstance(answer, Raw):
            return _raw(request, answer, seq if self.route.is_live else None)
        if self.route.method != "GET":
            return _plain(answer, seq if self.route.is_live else None)
        content = answer.body()
        finished = Finished(seq, content, f'"{xxhash.xxh3_64_hexdigest(content)}"')
        if is_cacheable:
            self._cache.put(request.raw_path, finished)
        return self._finished(request, finished, answer.headers)

    async def _handle(
        self, request: web.Request, query: Mapping[str, Any], content: bytes
    ) -> Answer | Raw | web.StreamResponse:
        return await self.route.handler(_call(request, query, self._inputs.body(self.route, request, content)))

    async def _once(self, request: web.Request, query: Mapping[str, Any], content: bytes) -> web.Response:
        key = request.headers["Idempotency-Key"]
        if not (0 < len(key) <= 255 and key.isascii() and key.isprintable()):
            raise errors.Invalid.field("Idempotency-Key", "must be 1 to 255 printable ASCII characters")
        stored = await self._idempotency.reserve(key, request.method, _unversioned(request.raw_path), content)
        if stored is not None:
            return _stored(stored)
        try:
            answer = await self._handle(request, query, content)
            if not isinstance(answer, Answer):
                raise errors.Invalid.field("Idempotency-Key", "isn't supported here")
            first = Stored(answer.status, answer.body(), answer.location)
        except BaseException:
            await self._idempotency.release(key)
            raise
        await self._idempotency.store(key, first)
        return _stored(first)

    def _finished(
        self, request: web.Request, finished: Finished, extra: Mapping[str, str] | None = None
    ) -> web.Response:
        headers = {**_COMMON, "ETag": finished.etag}
        if self.route.is_live:
            headers["X-Mismo-Seq"] = str(finished.seq)
        if extra:
            headers.update(extra)
        if is_match(request.headers.get("If-None-Match"), finished.etag):
            return web.Response(status=304, headers=headers)
        headers["Content-Type"] = _JSON
        return web.Response(body=finished.body, headers=headers)


def _call(request: web.Request, query: Mapping[str, Any], body: Any) -> Call:
    client_id = request.headers.get("X-Mismo-Client")
    if client_id is not None and not ids.is_id(client_id):
        raise errors.Invalid.field("X-Mismo-Client", "must be the client_id of a websocket's hello")
    return Call(request, request.match_info, query, body, client_id)


def _unversioned(path: str) -> str:
    """One endpoint under both of its names."""
    return path.replace("/api/v1/", "/api/", 1) if path.startswith("/api/v1/") else path


def _stored(stored: Stored) -> web.Response:
    headers = {**_COMMON, "Content-Type": _JSON}
    if stored.location:
        headers["Location"] = stored.location
    return web.Response(body=stored.body, status=stored.status, headers=headers)


def is_match(if_none_match: str | None, etag: str) -> bool:
    """Weak comparison of RFC 9110, section 8.8.3.2."""
    if if_none_match is None:
        return False
    offered = {item.strip().removeprefix("W/") for item in if_none_match.split(",")}
    return "*" in offered or etag in offered


def _plain(answer: Answer, seq: int | None) -> web.Response:
    headers = {**_COMMON, **answer.headers}
    if answer.location is not None:
        headers["Location"] = answer.location
    if seq is not None:
        headers["X-Mismo-Seq"] = str(seq)
    if answer.status == 204:
        return web.Response(status=204, headers=headers)
    headers["Content-Type"] = _JSON
    return web.Response(body=answer.body(), status=answer.status, headers=headers)


def _raw(request: web.Request, answer: Raw, seq: int | None) -> web.Response:
    headers = {**_COMMON, **answer.headers, "Content-Type": answer.content_type}
    if seq is not None:
        headers["X-Mismo-Seq"] = str(seq)
        headers.setdefault("ETag", f'"{xxhash.xxh3_64_hexdigest(answer.body)}"')
    etag = headers.get("ETag")
    if etag is not None and is_match(request.headers.get("If-None-Match"), etag):
        return web.Response(status=304, headers=headers)
    return web.Response(body=answer.body, status=answer.status, headers=headers)
