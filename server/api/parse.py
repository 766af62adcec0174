"""From a request to validated values: webargs reads the query, orjson the body, marshmallow judges both."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any, NoReturn
from urllib.parse import unquote_to_bytes

import orjson
from aiohttp import ClientError, web
from aiohttp.http_exceptions import HttpProcessingError
from marshmallow import RAISE, Schema, ValidationError, fields
from webargs.aiohttpparser import AIOHTTPParser

from server import errors, nesting
from server.api.fields import IS_QUERY, CommaList
from server.api.route import Route

_REMEMBERED_QUERIES = 2048
_INDEX = re.compile(r"\[\d+\]$")


class Parser(AIOHTTPParser):
    """webargs with Mismo's errors; what it raises by itself would bypass them."""

    def handle_error(
        self,
        error: ValidationError,
        req: web.Request,
        schema: Schema,
        *,
        error_status_code: int | None,
        error_headers: Mapping[str, str] | None,
    ) -> NoReturn:
        del req, schema, error_status_code, error_headers
        raise invalid(error, is_query=True) from error

    def _handle_invalid_json_error(self, error: Any, req: web.Request, *args: Any, **kwargs: Any) -> NoReturn:
        del req, args, kwargs
        raise errors.MalformedJson from error


def invalid(error: ValidationError, *, is_query: bool = False) -> errors.Invalid:
    """marshmallow's nested messages as one 422 that names each field: `set.rating`, `ids[3]`.

    In a query a repeated parameter is named as it was sent, without an index.
    """
    found = _flatten(error.messages, "")
    if is_query:
        found = iter(dict.fromkeys((_INDEX.sub("", name), message) for name, message in found))
    problems = [errors.FieldError(name, message) for name, message in found]
    return errors.Invalid("; ".join(f"{item.field}: {item.message}" for item in problems), fields=problems)


def _flatten(messages: Any, prefix: str) -> Iterator[tuple[str, str]]:
    if isinstance(messages, Mapping):
        for key, inner in messages.items():
            if key in ("query", "json", "_schema") and not isinstance(key, int):
                name = prefix
            elif isinstance(key, int):
                name = f"{prefix}[{key}]"
            else:
                name = f"{prefix}.{key}" if prefix else str(key)
            yield from _flatten(inner, name)
    elif isinstance(messages, list):
        for inner in messages:
            yield from _flatten(inner, prefix)
    else:
        yield prefix or "body", _worded(str(messages))


def _worded(message: str) -> str:
    text = {"Unknown field.": "isn't known here", "Missing data for required field.": "is required"}.get(
        message, message
    )
    return text.rstrip(".")


class Inputs:
    """Parses what a route declares. A query string's values are remembered: the same text means the same values."""

    def __init__(self) -> None:
        self._parser = Parser()
        self._remembered: OrderedDict[tuple[int, str], Mapping[str, Any]] = OrderedDict()

    async def query(self, route: Route, request: web.Request) -> Mapping[str, Any]:
        # As it was sent: decoded, `a%26b=1` couldn't be told from `a&b=1`.
        text = request.rel_url.raw_query_string
        if not text and route.query is None:
            return _NOTHING
        key = (id(route), text)
        known = self._remembered.get(key)
        if known is not None:
            self._remembered.move_to_end(key)
            return known
        unquote_to_bytes(text).decode()  # UnicodeDecodeError, which is a 400, instead of replacement characters
        schema = route.query or _NO_QUERY
        _refuse_repeats(schema, request)
        token = IS_QUERY.set(True)
        try:
            values: Mapping[str, Any] = await self._parser.parse(schema, request, location="query", unknown=RAISE)
        finally:
            IS_QUERY.reset(token)
        if len(text) <= 1024:
            self._remembered[key] = values
            if len(self._remembered) > _REMEMBERED_QUERIES:
                self._remembered.popitem(last=False)
        return values

    def body(self, route: Route, request: web.Request, content: bytes) -> Any:
        """The validated JSON body. Raises 400 for text that isn't JSON, 415, and 422 for wrong values."""
        if route.body_types:
            return _file(route, request, content)
        if not content:
            if route.body is None:
                return None
            if not route.is_body_required:
                return route.body.load({})
        if request.content_type != "application/json":
            raise errors.UnsupportedMediaType
        _refuse_packed(request)
        try:
            value = orjson.loads(content)
        except orjson.JSONDecodeError as error:
            raise errors.MalformedJson(f"the body isn't valid JSON: {error}") from None
        if route.body is None:
            raise errors.Invalid.field("body", "this takes no body")
        if not isinstance(value, dict):
            raise errors.Invalid.field("body", "must be a JSON object")
        for name, inner in value.items():
            if nesting.is_too_deep(inner):
                raise errors.Invalid.field(name, f"is nested more than {nesting.MOST_LEVELS} levels deep")
        try:
            return route.body.load(value)
        except ValidationError as error:
            raise invalid(error) from error


def _file(route: Route, request: web.Request, content: bytes) -> bytes:
    if request.content_type not in route.body_types:
        raise errors.UnsupportedMediaType(f"the body must be {' or '.join(route.body_types)}")
    _refuse_packed(request)
    return content


def _refuse_packed(request: web.Request) -> None:
    if request.headers.get("Content-Encoding", "identity").casefold() != "identity":
        raise errors.UnsupportedMediaType("the body must not be packed (Content-Encoding)")


async def read_body(request: web.Request, limit: int) -> bytes:
    """The whole body, never more than `limit` bytes of it in memory."""
    if request.content_length is not None and request.content_length > limit:
        raise errors.TooLarge(f"the body has {request.content_length} bytes; the limit is {limit}")
    content = bytearray()
    async for chunk in body_pieces(request, limit):
        content += chunk
    return bytes(content)


async def body_pieces(request: web.Request, limit: int) -> AsyncIterator[bytes]:
    """The body as it comes in, up to `limit` bytes in all."""
    total = 0
    try:
        async for chunk in request.content.iter_any():
            total += len(chunk)
            if total > limit:
                raise errors.TooLarge(f"the body is larger than the limit of {limit} bytes")
            yield chunk
    except (ClientError, HttpProcessingError, ConnectionError) as error:
        raise errors.Malformed("the body broke off, or isn't framed as its headers say") from error


def _refuse_repeats(schema: Schema, request: web.Request) -> None:
    """Of a parameter given twice one value would be ignored, unless it is declared as repeatable."""
    if len(request.query) == len(set(request.query)):
        return
    repeatable = {
        field.data_key or name
        for name, field in schema.load_fields.items()
        if isinstance(field, (fields.List, CommaList))
    }
    twice = sorted({name for name in request.query if len(request.query.getall(name)) > 1} - repeatable)
    if twice:
        raise errors.Invalid(
            f"{', '.join(twice)}: given more than once",
            fields=[errors.FieldError(name, "given more than once") for name in twice],
        )


class _NoQuery(Schema):
    class Meta:
        unknown = RAISE


_NO_QUERY = _NoQuery()
_NOTHING: Mapping[str, Any] = {}
