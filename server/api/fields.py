"""Marshmallow fields for what the contract fixes: ids, times, lists in a query, JSON numbers without NaN."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any

from marshmallow import RAISE, Schema, ValidationError, fields, validate

from server import clock, ids

# True while a query is read, where everything is text. In JSON a number or a boolean is one, and text isn't.
IS_QUERY: ContextVar[bool] = ContextVar("is_query", default=False)
_WHOLE = re.compile(r"-?[0-9]{1,19}")
_DECIMAL = re.compile(r"-?[0-9]{1,300}(\.[0-9]{1,300})?([eE][+-]?[0-9]{1,3})?")


class StrictSchema(Schema):
    """An input schema: what it doesn't know is an error that names it."""

    class Meta:
        unknown = RAISE


class Id(fields.String):
    """A UUID in lower-case text."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        text = super()._deserialize(value, attr, data, **kwargs)
        if not ids.is_id(text):
            raise ValidationError("must be a UUID in lower case")
        return text


class Timestamp(fields.Field[int]):
    """An RFC 3339 time or ISO date, taken in as Unix milliseconds."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> int:
        if not isinstance(value, str):
            raise ValidationError("must be an RFC 3339 time, like 2026-05-01T20:15:04.123Z")
        try:
            return clock.from_rfc3339(value)
        except (ValueError, OverflowError):
            raise ValidationError("must be an RFC 3339 time, like 2026-05-01T20:15:04.123Z") from None


class Flag(fields.Boolean):
    """A boolean, and nothing that could be meant as one; in a query `true` or `false`."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> bool:
        if IS_QUERY.get():
            value = {"true": True, "false": False}.get(value)
        if not isinstance(value, bool):
            raise ValidationError("must be true or false")
        return value


class CommaList(fields.Field[list[str]]):
    """`a,b,c` in a query, where a repeated parameter adds to the list; in JSON a list of names.

    `one_of` limits what may stand in it; with `is_signed` each may be preceded by `-`.
    """

    is_multiple = True  # webargs then hands over every value of a repeated parameter

    def __init__(self, one_of: frozenset[str] | None = None, *, is_signed: bool = False, **kwargs: Any):
        super().__init__(**kwargs)
        self.one_of = one_of
        self.is_signed = is_signed

    @property
    def choices(self) -> list[str] | None:
        """Every name that may stand in the list."""
        if self.one_of is None:
            return None
        return sorted({*self.one_of, *(f"-{name}" for name in self.one_of if self.is_signed)})

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> list[str]:
        if not isinstance(value, list) or not all(isinstance(part, str) for part in value):
            raise ValidationError("must be a list of names")
        parts = (part.split(",") if IS_QUERY.get() else [part] for part in value)
        names = [name.strip() for names in parts for name in names if name.strip()]
        for name in names:
            if "\0" in name:
                raise ValidationError("must not contain NUL")
            plain = name.removeprefix("-") if self.is_signed else name
            if self.one_of is not None and plain not in self.one_of:
                raise ValidationError(f"{plain!r} isn't one of {', '.join(sorted(self.one_of))}")
        return names


class Repeated(fields.List[Any]):
    """A parameter that may be given several times (in JSON: a list), of which any may match."""


class Text(fields.String):
    """Text without NUL (which PostgreSQL can't keep) or lone surrogates (which aren't UTF-8)."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        text = super()._deserialize(value, attr, data, **kwargs)
        if "\0" in text:
            raise ValidationError("must not contain NUL")
        try:
            text.encode()
        except UnicodeEncodeError:
            raise ValidationError("must be valid Unicode text") from None
        return text


class WholeNumber(fields.Integer):
    """A whole number of at most 64 bits; in a query plain digits."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> int:
        if IS_QUERY.get():
            is_one = isinstance(value, str) and _WHOLE.fullmatch(value) is not None
        else:
            # To JSON Schema 5.0 is as whole as 5.
            is_one = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
        if not is_one or isinstance(value, bool):
            raise ValidationError("must be a whole number")
        number = int(value)
        if not -(2**63) <= number < 2**63:
            raise ValidationError("is out of range")
        return number


class Number(fields.Float):
    """A finite number."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> float:
        if IS_QUERY.get():
            is_one = isinstance(value, str) and _DECIMAL.fullmatch(value) is not None
        else:
            is_one = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not is_one:
            raise ValidationError("must be a number")
        number = float(value)
        if not math.isfinite(number):
            raise ValidationError("is out of range")
        return number


def integer(minimum: int | None = None, maximum: int | None = None, **kwargs: Any) -> WholeNumber:
    """A whole number in a range."""
    return WholeNumber(validate=validate.Range(minimum, maximum), **kwargs)


def number(minimum: float | None = None, maximum: float | None = None, **kwargs: Any) -> Number:
    """A finite number in a range."""
    return Number(validate=validate.Range(minimum, maximum), **kwargs)


def past(**kwargs: Any) -> Timestamp:
    """The time of something that happened to a track, which was not before 1970."""
    return Timestamp(validate=validate.Range(0, error="must not lie before 1970"), **kwargs)


class PageQuery(StrictSchema):
    """How a list is paged: by `page`, or by the `cursor` that the answer before gave."""

    page = integer(1, 10_000_000, load_default=None, metadata={"description": "from 1"})
    limit = integer(1, 1000, load_default=50)
    cursor = Text(load_default=None, metadata={"description": "`next_cursor` of the answer before"})
