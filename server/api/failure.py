"""From any exception to the one shape of a failure."""

from __future__ import annotations

from aiohttp import web

from server import errors
from server.api.answer import problem

_HTTP_ERRORS: dict[int, type[errors.MismoError]] = {
    404: errors.NotFound,
    405: errors.MethodNotAllowed,
    413: errors.TooLarge,
    415: errors.UnsupportedMediaType,
}


def as_mismo_error(error: Exception) -> errors.MismoError:
    """The error as a client may see it: what nobody foresaw says nothing of itself."""
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


def failure_response(failure: errors.MismoError, request_id: str) -> web.Response:
    return web.Response(
        body=problem(failure, request_id),
        status=failure.status,
        content_type="application/problem+json",
        headers={**failure.headers, "X-Content-Type-Options": "nosniff"},
    )
