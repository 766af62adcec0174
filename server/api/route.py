"""One declaration per endpoint: what routes, validates and documents it."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from marshmallow import Schema

from server import ids
from server.api.answer import Answer, Raw
from server.errors import MismoError

JSON_BODY_LIMIT = 1024 * 1024
_ID_PARAMETER = re.compile(r"{(id|\w+_id)}")


@dataclass(frozen=True, slots=True)
class Call:
    """One request after validation. `client_id` is the websocket client that the request belongs to, if it says so."""

    request: web.Request
    path: Mapping[str, str]
    query: Mapping[str, Any]
    body: Any
    client_id: str | None


Handler = Callable[[Call], Awaitable[Answer | Raw | web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Route:
    """An endpoint below `/api` (or, with `is_root`, below `/`).

    The handler's docstring is its description in OpenAPI, the first line its summary. `returns` describes `data`;
    with `is_list` it describes each item. Answers of an `is_live` route carry `X-Mismo-Seq`; those of an `is_cached`
    one are derived from recorded state alone, and may be served again while no event was committed.
    """

    method: str
    path: str
    handler: Handler
    query: Schema | None = None
    body: Schema | None = None
    returns: Schema | Mapping[str, Any] | None = None
    status: int = 200
    may_be_known: bool = False  # answers 200, and nothing is made, when what was to be made is there already
    errors: Sequence[type[MismoError]] = ()
    tag: str = ""
    is_list: bool = False
    is_paged: bool = False
    is_live: bool = False
    is_cached: bool = False
    is_personal: bool = False  # what comes of it is told to the websocket client that `X-Mismo-Client` names
    is_root: bool = False
    is_open: bool = False  # needs no token
    is_enveloped: bool = True
    is_upload: bool = False  # the handler reads the body itself
    body_types: Sequence[str] = ()  # the body is a file of one of these types, handed over as bytes
    produces: str = "application/json"
    also_produces: Sequence[str] = ()  # further types of a success, as the request chooses
    body_limit: int = JSON_BODY_LIMIT
    is_body_required: bool = True
    extra: Mapping[str, Any] = field(default_factory=dict)  # JSON Schema of members beside `data`

    @property
    def pattern(self) -> str:
        """The path as it is routed: what stands for an id fits ids only, so that `/tracks/stats` is one route's."""
        return _ID_PARAMETER.sub(rf"{{\1:{ids.PATTERN}}}", self.path)

    @property
    def name(self) -> str:
        """The operation id: the handler's own name."""
        return getattr(self.handler, "__name__", "handler")
