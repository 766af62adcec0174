"""The aiohttp application: every route under `/api` and `/api/v1`, and the checks that come before all of them."""

from __future__ import annotations

import itertools
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from server import errors, log
from server.api.cache import AnswerCache
from server.api.cors import Cors
from server.api.endpoint import Endpoint, Log
from server.api.failure import as_mismo_error, failure_response
from server.api.guard import Guard
from server.api.idempotency import IdempotencyKeys
from server.api.metrics import Metrics
from server.api.parse import Inputs
from server.api.ratelimit import RateLimit
from server.api.route import Route

logger = log.get(__name__)
PREFIXES = ("/api", "/api/v1")
_Next = Callable[[web.Request], Awaitable[web.StreamResponse]]


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
    # aiohttp tries paths with parameters in the order they came: the short ones are asked for most.
    for route in sorted(routes, key=lambda route: route.path.count("/")):
        endpoint = Endpoint(route, floor.log, floor.idempotency, inputs, cache)
        for prefix in [""] if route.is_root else PREFIXES:
            app.router.add_route(route.method, prefix + route.pattern, endpoint.serve)
            if route.method == "GET":
                app.router.add_route("HEAD", prefix + route.pattern, endpoint.serve)
    for method, path, handler in handlers:
        app.router.add_route(method, path, handler)
    return app


def _middleware(floor: Floor) -> Any:
    guard, rate_limit, metrics = floor.guard, floor.rate_limit, floor.metrics
    cors = Cors(guard.cors_origins) if guard.cors_origins else None
    # Unique among processes and cheap: no answer waits for the system's random numbers.
    run, numbers = secrets.token_hex(6), itertools.count(1)

    async def checked(request: web.Request, handler: _Next) -> web.StreamResponse:
        guard.check_host(request)
        guard.check_origin(request)
        if cors is not None and cors.is_preflight(request):
            return web.Response(status=204)
        if rate_limit is not None:
            rate_limit.take(request.remote or "")
        if guard.needs_token and not _is_open(request.match_info.handler):
            await guard.check_token(request)
        return await handler(request)

    @web.middleware
    async def around(request: web.Request, handler: _Next) -> web.StreamResponse:
        started = time.perf_counter()
        request_id = f"{run}-{next(numbers):x}"
        try:
            response = await checked(request, handler)
        except Exception as error:  # the one place where any error becomes an answer
            response = _answer(error, request, request_id)
        if not response.prepared:
            response.headers["X-Request-Id"] = request_id
            if cors is not None:
                cors.add_to(request, response)
        resource = request.match_info.route.resource
        path = resource.canonical if resource is not None else None
        metrics.request(request.method, path, response.status, time.perf_counter() - started)
        return response

    return around


def _is_open(handler: Any) -> bool:
    endpoint = getattr(handler, "__self__", None)
    return isinstance(endpoint, Endpoint) and endpoint.route.is_open


def _answer(error: Exception, request: web.Request, request_id: str) -> web.StreamResponse:
    failure = as_mismo_error(error)
    if failure.status >= 500:
        # What is foreseen (a database that is down, a full disk) says all in a line, and comes by the hundred.
        is_foreseen = isinstance(error, errors.MismoError)
        say = logger.warning if is_foreseen else logger.error
        trace = {"error": failure.detail} if is_foreseen else {"exc_info": error}
        say("request failed", method=request.method, path=request.path, request_id=request_id, **trace)
    if request.writer.output_size:
        # A stream broke off. A second answer would be taken for its content, so the connection ends instead.
        raise ConnectionError("the answer had begun when it failed") from error
    return failure_response(failure, request_id)
