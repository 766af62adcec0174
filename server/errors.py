"""Every error that may reach a client: its status, its stable code, and a docstring that is its message."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class FieldError:
    """One invalid input: `field` is the name the client sent, `message` says what would be right."""

    field: str
    message: str


class MismoError(Exception):
    """Something went wrong inside the server."""

    status = 500
    code = "internal_error"

    def __init__(
        self,
        detail: str | None = None,
        *,
        fields: Sequence[FieldError] = (),
        headers: dict[str, str] | None = None,
        extra: Mapping[str, Any] | None = None,
    ):
        """`extra`: further members of the problem details, as RFC 9457, section 3.2, allows."""
        self.detail = detail or inspect.cleandoc(type(self).__doc__ or "")
        self.fields = tuple(fields)
        self.headers = headers or {}
        self.extra = extra or {}
        super().__init__(self.detail)

    @property
    def title(self) -> str:
        return self.code.replace("_", " ").capitalize()


class Malformed(MismoError):
    """The request can't be read."""

    status = 400
    code = "malformed"


class MalformedJson(Malformed):
    """The body isn't valid JSON."""

    code = "malformed_json"


class Unauthorized(MismoError):
    """A valid bearer token is needed."""

    status = 401
    code = "unauthorized"

    def __init__(self, detail: str | None = None):
        super().__init__(detail, headers={"WWW-Authenticate": 'Bearer realm="mismo"'})


class Forbidden(MismoError):
    """This isn't allowed."""

    status = 403
    code = "forbidden"


class HostNotAllowed(Forbidden):
    """The Host header isn't in the list of allowed hosts."""

    code = "host_not_allowed"


class OriginNotAllowed(Forbidden):
    """The Origin header isn't in the list of allowed origins."""

    code = "origin_not_allowed"


class NotFound(MismoError):
    """There is nothing here."""

    status = 404
    code = "not_found"


class MethodNotAllowed(MismoError):
    """This method isn't offered here."""

    status = 405
    code = "method_not_allowed"


class Conflict(MismoError):
    """This conflicts with the present state."""

    status = 409
    code = "conflict"


class IdempotencyConflict(Conflict):
    """This Idempotency-Key was used with another request."""

    code = "idempotency_conflict"


class Gone(MismoError):
    """The history asked for isn't kept any more; start again from 0."""

    status = 410
    code = "history_gone"


class TooLarge(MismoError):
    """The body is larger than the limit."""

    status = 413
    code = "body_too_large"


class UnsupportedMediaType(MismoError):
    """The body must be application/json."""

    status = 415
    code = "unsupported_media_type"


class Invalid(MismoError):
    """Some values aren't valid."""

    status = 422
    code = "invalid"

    @classmethod
    def field(cls, name: str, message: str) -> Invalid:
        """An error about one field, with the same words in `detail` and in `errors`."""
        return cls(f"{name}: {message}", fields=[FieldError(name, message)])


class TooManyRequests(MismoError):
    """Too many requests; try again later."""

    status = 429
    code = "rate_limited"


class Unavailable(MismoError):
    """A part that this needs isn't available now."""

    status = 503
    code = "unavailable"


class NotReady(Unavailable):
    """The server can't work now: something that it needs is down."""

    code = "not_ready"


class DatabaseBusy(Unavailable):
    """The database is locked by another program."""

    code = "database_busy"


class DatabaseDown(Unavailable):
    """The database can't be reached."""

    code = "database_down"


class DiskFull(MismoError):
    """There is no space left on the disk; nothing was changed."""

    status = 507
    code = "disk_full"


class UniqueViolation(Conflict):
    """A row with this identity exists already."""

    code = "already_exists"


class StartupError(Exception):
    """Mismo can't start; the message says why and what to do. Never sent to a client."""
