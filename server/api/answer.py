"""What a handler answers, before it becomes bytes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from server import errors


@dataclass(frozen=True, slots=True)
class Pagination:
    """The `pagination` of a list. `page` is None when the client pages by cursor."""

    limit: int
    total: int | None
    page: int | None = None
    next_cursor: str | None = None

    @classmethod
    def whole(cls, count: int) -> Pagination:
        """Of a list that is always answered whole."""
        return cls(max(count, 1), count, 1)

    def as_json(self) -> dict[str, Any]:
        return {
            "page": self.page,
            "limit": self.limit,
            "total": self.total,
            "total_pages": None if self.total is None else math.ceil(self.total / self.limit),
            "next_cursor": self.next_cursor,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A success. `data` is JSON-ready; `orjson.Fragment`s in it are taken over as the bytes they are.

    `location` is the URL of what was created or queued. `seq` is the number of the event that the answer is exactly
    true for, where clients need to know it; otherwise it is true for the one that was the last before it was asked for,
    and may hold later ones too.
    """

    data: Any = None
    status: int = 200
    pagination: Pagination | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    location: str | None = None
    seq: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def body(self) -> bytes:
        content: dict[str, Any] = {"success": True, "data": self.data}
        if self.pagination is not None:
            content["pagination"] = self.pagination.as_json()
        content.update(self.extra)
        return orjson.dumps(content)


@dataclass(frozen=True, slots=True, kw_only=True)
class Raw:
    """An answer that isn't the usual envelope: plain bytes of some type. `seq` as that of an `Answer`."""

    body: bytes
    content_type: str
    status: int = 200
    seq: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


def ok(data: Any, **extra: Any) -> Answer:
    return Answer(data=data, extra=extra)


def created(data: Any, location: str) -> Answer:
    return Answer(data=data, status=201, location=location)


def accepted(data: Any, location: str) -> Answer:
    return Answer(data=data, status=202, location=location)


def joined(items: Sequence[bytes]) -> orjson.Fragment:
    """A JSON array of items that are JSON already."""
    return orjson.Fragment(b"[" + b",".join(items) + b"]")


def problem(error: errors.MismoError, request_id: str) -> bytes:
    """The body of a failure: problem details of RFC 9457, with Mismo's additions."""
    content: dict[str, Any] = {
        "type": f"urn:mismo:error:{error.code}",
        "title": error.title,
        "status": error.status,
        "detail": error.detail,
        "code": error.code,
        "request_id": request_id,
        "success": False,
        "error": error.detail,
        **error.extra,
    }
    if error.fields:
        content["errors"] = [{"field": item.field, "message": item.message} for item in error.fields]
    return orjson.dumps(content)
