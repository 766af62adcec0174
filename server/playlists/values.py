"""What the value of a condition may be: checked against the field and operator, and brought into one form."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

from server import clock, ids
from server.metadata import key as keys
from server.metadata.key import MAJOR, MINOR, Key
from server.playlists.fields import Field, Kind, Op

MAX_TEXT = 1000
MAX_ITEMS = 1000
DEFAULT_TEMPO_PERCENT = 6.0
# Beyond these a JSON number can't say a whole number exactly.
_LARGEST = 2**53
_WINDOW = re.compile(r"([1-9]\d{0,5})\s*(min|h|d|w|mo|y)")
_UNIT_MS = {
    "min": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 7 * 86_400_000, "mo": 30 * 86_400_000, "y": 365 * 86_400_000,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of time that ends now; `count` of a `unit`, such as 30 `d`. A month has 30 days, a year 365."""

    count: int
    unit: str

    @property
    def milliseconds(self) -> int:
        return self.count * _UNIT_MS[self.unit]


@dataclass(frozen=True, slots=True)
class Harmony:
    """Keys that mix with one: its Camelot neighbours, and when asked those one and two semitones up."""

    key: Key
    is_boosted: bool

    @property
    def keys(self) -> tuple[Key, ...]:
        boosts = (1, 2) if self.is_boosted else ()
        return (*self.key.neighbours(), *(Key((self.key.tonic + step) % 12, self.key.mode) for step in boosts))


@dataclass(frozen=True, slots=True)
class Tempo:
    """Tempos that mix with one: within some percent of it, of its half and of its double."""

    bpm: float
    percent: float

    @property
    def ranges(self) -> tuple[tuple[float, float], ...]:
        return tuple(
            (self.bpm * factor * (1 - self.percent / 100), self.bpm * factor * (1 + self.percent / 100))
            for factor in (0.5, 1.0, 2.0)
        )


class Unfit(ValueError):
    """The value isn't what the operator takes; the message says what would be."""


def parse_value(field: Field, op: Op, value: Any) -> Any:
    """The value in the form the compiler takes; raises `Unfit`."""
    if op in (Op.IS_MISSING, Op.IS_PRESENT):
        if value is not None and value is not True:
            raise Unfit("isn't taken by this operator")
        return None
    if op in (Op.IN, Op.NOT_IN):
        return tuple(_scalar(field, item) for item in _items(value))
    if op is Op.BETWEEN:
        return _pair(field, value)
    if op in (Op.INCLUDES, Op.EXCLUDES):
        return tuple(_text(item) for item in (_items(value) if isinstance(value, list) else [value]))
    special = _SPECIAL.get(op)
    return special(value) if special is not None else _scalar(field, value)


def _scalar(field: Field, value: Any) -> Any:
    if field.kind is Kind.NUMBER:
        return _mode(value) if field.name == "mode" else _number(value, is_whole=field.is_whole)
    return _SCALARS[field.kind](value)


def _items(value: Any) -> list[Any]:
    if not isinstance(value, list) or not 0 < len(value) <= MAX_ITEMS:
        raise Unfit(f"must be a list of 1 to {MAX_ITEMS} values")
    return value


def _pair(field: Field, value: Any) -> tuple[Any, Any]:
    if not isinstance(value, list) or len(value) != 2:
        raise Unfit("must be a list of two values, lowest first")
    low, high = _scalar(field, value[0]), _scalar(field, value[1])
    if low > high:
        raise Unfit("must have its lower value first")
    return low, high


def _text(value: Any) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= MAX_TEXT or "\0" in value:
        raise Unfit(f"must be text of 1 to {MAX_TEXT} characters")
    return value


def _number(value: Any, *, is_whole: bool = False) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise Unfit("must be a number")
    if abs(value) > _LARGEST:
        raise Unfit("is out of range")
    if not is_whole:
        return float(value)
    if value != int(value):
        raise Unfit("must be a whole number")
    return int(value)


def _mode(value: Any) -> float:
    named = {"minor": MINOR, "major": MAJOR}.get(value) if isinstance(value, str) else None
    return named if named is not None else _number(value, is_whole=True)


def _time(value: Any) -> int:
    if not isinstance(value, str):
        raise Unfit("must be a date or an RFC 3339 time, like 2026-05-01")
    try:
        return clock.from_rfc3339(value)
    except (ValueError, OverflowError):
        raise Unfit("must be a date or an RFC 3339 time, like 2026-05-01") from None


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise Unfit("must be true or false")
    return value


def _key(value: Any) -> Key:
    key = keys.parse(value) if isinstance(value, str) else None
    if key is None:
        raise Unfit("must be a key, like 8A, Am or 1m")
    return key


def _id(value: Any) -> str:
    if not isinstance(value, str) or not ids.is_id(value):
        raise Unfit("must be an id")
    return value


def _window(value: Any) -> Window:
    match = _WINDOW.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise Unfit("must be a stretch of time, like 30d (min, h, d, w, mo, y)")
    return Window(int(match[1]), match[2])


def _harmony(value: Any) -> Harmony:
    text = value.strip() if isinstance(value, str) else ""
    return Harmony(_key(text.removesuffix("+")), text.endswith("+"))


def _tempo(value: Any) -> Tempo:
    content = value if isinstance(value, dict) else {"bpm": value}
    if not content.keys() <= {"bpm", "percent"} or "bpm" not in content:
        raise Unfit('must be a tempo, or {"bpm": 128, "percent": 6}')
    bpm, percent = _number(content["bpm"]), _number(content.get("percent", DEFAULT_TEMPO_PERCENT))
    if not 1 <= bpm <= 1000 or not 0 <= percent <= 50:
        raise Unfit("must have a tempo of 1 to 1000 and at most 50 percent")
    return Tempo(bpm, percent)


_SCALARS = {
    Kind.FOLDED: _text, Kind.PLAIN: _text, Kind.TIME: _time, Kind.FLAG: _flag, Kind.KEY: _key, Kind.ID: _id,
}  # fmt: skip
_SPECIAL = {
    Op.IN_LAST: _window, Op.NOT_IN_LAST: _window, Op.IN_PLAYLIST: _id, Op.NOT_IN_PLAYLIST: _id, Op.SIMILAR_TO: _id,
    Op.KEY_COMPATIBLE: _harmony, Op.BPM_COMPATIBLE: _tempo,
}  # fmt: skip
