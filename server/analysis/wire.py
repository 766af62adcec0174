"""Reading what an analysis server sends: every value is looked at before it is believed.

Each reader takes the name that errors shall use, and raises `Invalid` (422) for what is missing, of another type, not
finite, or absurd. JSON itself has no NaN or infinity; orjson refuses their usual spellings.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Mapping, Sequence
from typing import Any

from server import errors, nesting

DAY_SECONDS = 86_400.0
_LARGEST_COUNT = (1 << 53) - 1  # beyond, JSON readers that know only doubles round


def number(data: Mapping[str, Any], name: str, lowest: float, highest: float) -> float | None:
    """A finite number in a range; None where it is null or absent."""
    value = data.get(name)
    if value is None:
        return None
    return _in_range(value, name, lowest, highest)


def whole(data: Mapping[str, Any], name: str, lowest: int, highest: int) -> int | None:
    """A whole number in a range (`3.0` is one); None where it is null or absent."""
    value = number(data, name, lowest, highest)
    if value is None:
        return None
    if value != int(value):
        raise errors.Invalid.field(name, f"must be a whole number, not {value}")
    return int(value)


def share(data: Mapping[str, Any], name: str) -> float | None:
    """A number from 0 to 1, or a boolean for one of its ends; None where it is null or absent."""
    value = data.get(name)
    if isinstance(value, bool):
        return float(value)
    return number(data, name, 0, 1)


def text(data: Mapping[str, Any], name: str, longest: int) -> str | None:
    value = data.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > longest or "\0" in value:
        raise errors.Invalid.field(name, f"must be text of at most {longest} characters")
    return value


def name(data: Mapping[str, Any], key: str, longest: int) -> str | None:
    """An id: text, or a whole number as its digits; None where it is null or absent."""
    value = data.get(key)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return text(data, key, longest)


def words(data: Mapping[str, Any], *names: str, longest: int) -> str | None:
    """What a server says in its own words: the first of some members that holds any, or an object with a `message`.

    Never refused, since it is only shown to people: cut, and without NUL, which PostgreSQL can't store.
    """
    for key in names:
        value = data.get(key)
        if isinstance(value, dict):
            value = value.get("message")
        if isinstance(value, str) and value.strip():
            return value.strip().replace("\0", " ")[:longest]
    return None


def count(data: Mapping[str, Any], name: str) -> int | None:
    """A number of things that is only shown; None where it is none."""
    value = data.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _LARGEST_COUNT else None


def demand_shallow(value: Any, name: str) -> None:
    """Raises `Invalid` for what is nested so deeply that it could be read, but not written into an answer."""
    if nesting.is_too_deep(value):
        raise errors.Invalid.field(name, f"is nested more than {nesting.MOST_LEVELS} levels deep")


def times(data: Mapping[str, Any], name: str, most: int) -> array[float]:
    """Rising positions in seconds, as float64; empty where it is null or absent."""
    values = data.get(name)
    if values is None:
        return array("d")
    if not isinstance(values, list) or len(values) > most:
        raise errors.Invalid.field(name, f"must be a list of at most {most} numbers")
    found = array("d")
    before = -1.0
    for place, value in enumerate(values):
        position = _in_range(value, f"{name}[{place}]", 0, DAY_SECONDS)
        if position < before:
            raise errors.Invalid.field(f"{name}[{place}]", "must not be before the one that precedes it")
        found.append(position)
        before = position
    return found


def mapping(value: Any, name: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise errors.Invalid.field(name, "must be a JSON object")
    return value


def items(data: Mapping[str, Any], name: str, most: int) -> Sequence[Any]:
    """A list with at most so many items; empty where it is null or absent."""
    values = data.get(name)
    if values is None:
        return ()
    if not isinstance(values, list) or len(values) > most:
        raise errors.Invalid.field(name, f"must be a list of at most {most} items")
    return values


def _in_range(value: Any, name: str, lowest: float, highest: float) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise errors.Invalid.field(name, "must be a finite number")
    if not lowest <= value <= highest:
        raise errors.Invalid.field(name, f"must be between {lowest:g} and {highest:g}, not {value:g}")
    return float(value)
