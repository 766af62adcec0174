"""The aiohttp application: every route under `/api` and `/api/v1`, one error shape, ETags, and the checks before."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import xxhash
from aiohttp import web

from server import errors, ids, log
from server.api.answer import Answer, Raw, problem
from server.api.cache import AnswerCache, Finished
from server.api.guard import SAFE_METHODS, Guard
from server.api.idempotency import IdempotencyKeys, Stored
from server.api.metrics import Metrics
from server.api.parse import Inputs, read_body
from server.api.ratelimit import RateLimit
from server.api.route import Call, Route

logger = log.get(__name__)
PREFIXES = ("/api", "/api/v1")
_HTTP_ERRORS: dict[int, type[errors.MismoError]] = {
    400: errors.Malformed,
    404: errors.NotFound,
    405: errors.MethodNotAllowed,
    413: errors.TooLarge,
    415: errors.UnsupportedMediaType,
}
_Next = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Log(Protocol):
    """Says what is committed; `server.events.log.EventLog` is one."""

    @property
    def seq(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Floor:
    """What every endpoint stands on."""

    log: Log
    guard: Guard
    rate_limit: RateLimit | None
    idempotency: IdempotencyKeys
    metrics: Metrics


def build(routes: Sequence[Route], floor: Floor, handlers: Sequence[tuple[str, str, Any]] = ()) -> web.Application:
    """An application of declared routes, and of plain `(method, path, handler)`s beside them (the websocket)."""
    # The routes cap bodies themselves, each at its own limit and before anything is kept.
    app = web.Application(middlewares=[_middleware(floor)], client_max_size=0)
    inputs, cache = Inputs(), AnswerCache()
    for route in routes:
        endpoint = _endpoint(route, floor, inputs, cache)
        for prefix in [""] if route.is_root else PREFIXES:
            app.router.add_route(route.method, prefix + route.path, endpoint)
            if route.method == "GET":
                app.router.add_route("HEAD", prefix + route.path, endpoint)
    for method, path, handler in handlers:
        app.router.add_route(method, path, handler)
    return app


def _middleware(floor: Floor) -> Any:
    @web.middleware
    async def around(request: web.Request, handler: _Next) -> web.StreamResponse:
        started = time.perf_counter()
        request_id = ids.new_id()
        try:
            response = await _checked(request, handler, floor)
        except asyncio.CancelledError:
            raise
        except Exception as error:  # the one place where any error becomes an answer
            response = _failure(error, request, request_id)
        if not response.prepared:
            response.headers["X-Request-Id"] = request_id
            _add_cors(request, response, floor.guard)
        resource = request.match_info.route.resource
        floor.metrics.request(
            request.method,
            resource.canonical if resource else "unknown",
            response.status,
            time.perf_counter() - started,
        )
        return response

    return around


async def _checked(request: web.Request, handler: _Next, floor: Floor) -> web.StreamResponse:
    floor.guard.check_host(request)
    floor.guard.check_origin(request)
    if request.method == "OPTIONS" and request.headers.get("Origin") in floor.guard.cors_origins:
        return web.Response(status=204)
    if floor.rate_limit is not None:
        floor.rate_limit.take(request.remote or "")
    if not getattr(request.match_info.handler, "is_open", False):
        await floor.guard.check_token(request)
    return await handler(request)


def _failure(error: Exception, request: web.Request, request_id: str) -> web.StreamResponse:
    failure = _as_mismo_error(error)
    if failure.status >= 500:
        logger.error("request failed", method=request.method, path=request.path, request_id=request_id, exc_info=error)
    return web.Response(
        body=problem(failure, request_id),
        status=failure.status,
        content_type="application/problem+json",
        headers=failure.headers,
    )


def _as_mismo_error(error: Exception) -> errors.MismoError:
    if isinstance(error, errors.MismoError):
        return error
    if isinstance(error, web.HTTPException):
        kind = _HTTP_ERRORS.get(error.status, errors.Malformed if error.status < 500 else errors.MismoError)
        failure = kind()
        if isinstance(error, web.HTTPMethodNotAllowed):
            failure.headers["Allow"] = ", ".join(sorted(error.allowed_methods))
        return failure
    if isinstance(error, UnicodeError):
        return errors.Malformed("the request isn't valid UTF-8")
    return errors.MismoError()


def _add_cors(request: web.Request, response: web.StreamResponse, guard: Guard) -> None:
    origin = request.headers.get("Origin")
    if not guard.cors_origins or origin not in guard.cors_origins:
        return
    response.headers["Access-Control-Allow-Origin"] = origin
    response.headers["Vary"] = "Origin"
    response.headers["Access-Control-Expose-Headers"] = "ETag, Location, X-Mismo-Seq, X-Request-Id"
    if request.method == "OPTIONS":
        response.headers["Access-Control-Allow-Methods"] = "GET, POST, PUT, PATCH, DELETE"
        response.headers["Access-Control-Allow-Headers"] = (
            "Authorization, Content-Type, Idempotency-Key, If-None-Match, X-Mismo-Client"
        )
        response.headers["Access-Control-Max-Age"] = "600"


def _endpoint(route: Route, floor: Floor, inputs: Inputs, cache: AnswerCache) -> _Next:
    async def endpoint(request: web.Request) -> web.StreamResponse:
        # Read before the query: the answer is true for this number at least, and events after it may be applied again.
        seq = floor.log.seq
        is_cacheable = route.is_cached and request.method == "GET"
        if is_cacheable and (finished := cache.get(request.path_qs, seq)) is not None:
            return _from_finished(request, finished)
        query = await inputs.query(route, request)
        if route.method in SAFE_METHODS or route.is_upload:
            answer = await route.handler(_call(request, query, None))
        else:
            content = await read_body(request, route.body_limit)
            if route.method == "POST" and "Idempotency-Key" in request.headers:
                return await _once(route, request, query, content, floor, inputs)
            answer = await route.handler(_call(request, query, inputs.body(route, request, content)))
        if isinstance(answer, web.StreamResponse):
            return answer
        if isinstance(answer, Raw):
            return _raw(request, answer)
        if route.method != "GET":
            return _plain(answer, seq if route.is_live else None)
        content = answer.body()
        finished = Finished(seq, content, f'"{xxhash.xxh3_64_hexdigest(content)}"')
        if is_cacheable:
            cache.put(request.path_qs, finished)
        return _from_finished(request, finished, has_seq=route.is_live)

    endpoint.is_open = route.is_open  # type: ignore[attr-defined] # the middleware sees the handler only
    return endpoint


def _call(request: web.Request, query: Mapping[str, Any], body: Any) -> Call:
    return Call(request, request.match_info, query, body, request.headers.get("X-Mismo-Client"))


async def _once(
    route: Route, request: web.Request, query: Mapping[str, Any], content: bytes, floor: Floor, inputs: Inputs
) -> web.StreamResponse:
    key = request.headers["Idempotency-Key"]
    if not 0 < len(key) <= 255:
        raise errors.Invalid.field("Idempotency-Key", "must have 1 to 255 characters")
    stored = await floor.idempotency.reserve(key, request.method, request.path_qs, content)
    if stored is not None:
        return _stored(stored)
    try:
        answer = await route.handler(_call(request, query, inputs.body(route, request, content)))
        if not isinstance(answer, Answer):
            raise errors.Invalid.field("Idempotency-Key", "isn't supported here")
        first = Stored(answer.status, answer.body(), answer.location)
    except BaseException:
        await floor.idempotency.release(key)
        raise
    await floor.idempotency.store(key, first)
    return _stored(first)


def _stored(stored: Stored) -> web.Response:
    headers = {"Location": stored.location} if stored.location else None
    return web.Response(body=stored.body, status=stored.status, content_type="application/json", headers=headers)


def _from_finished(request: web.Request, finished: Finished, *, has_seq: bool = True) -> web.Response:
    headers = {"ETag": finished.etag}
    if has_seq:
        headers["X-Mismo-Seq"] = str(finished.seq)
    if _matches(request.headers.get("If-None-Match"), finished.etag):
        return web.Response(status=304, headers=headers)
    headers["Content-Type"] = "application/json; charset=utf-8"
    return web.Response(body=finished.body, headers=headers)


def _matches(if_none_match: str | None, etag: str) -> bool:
    """Weak comparison of RFC 9110, section 8.8.3.2."""
    if if_none_match is None:
        return False
    offered = {item.strip().removeprefix("W/") for item in if_none_match.split(",")}
    return "*" in offered or etag in offered


def _plain(answer: Answer, seq: int | None) -> web.Response:
    headers = dict(answer.headers)
    if answer.location is not None:
        headers["Location"] = answer.location
    if seq is not None:
        headers["X-Mismo-Seq"] = str(seq)
    if answer.status == 204:
        return web.Response(status=204, headers=headers)
    return web.Response(body=answer.body(), status=answer.status, content_type="application/json", headers=headers)


def _raw(request: web.Request, answer: Raw) -> web.Response:
    headers = {**answer.headers, "Content-Type": answer.content_type}
    etag = headers.get("ETag")
    if etag is not None and _matches(request.headers.get("If-None-Match"), etag):
        return web.Response(status=304, headers=headers)
    return web.Response(body=answer.body, status=answer.status, headers=headers)
