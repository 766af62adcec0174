"""What a rule means, said a second time in the plainest way: over rows as dictionaries, without any SQL."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson

from server.metadata.key import Key
from server.playlists.compile import lower_ascii
from server.playlists.fields import Field, Kind, Op
from server.playlists.rules import AllOf, AnyOf, Condition, Not, Rule
from server.playlists.values import Harmony, Tempo, Window
from server.tracks.fold import fold
from server.tracks.model import key_from_index

Row = Mapping[str, Any]


class Library:
    """Rows of `tracks`, playlists as sets of ids, and the unreachable directories: id → (reason, since)."""

    def __init__(
        self,
        rows: Sequence[Row],
        playlists: Mapping[str, set[str]],
        unreachable: Mapping[str, tuple[str, int]],
        now: int,
    ):
        self._rows = {row["id"]: row for row in rows}
        self._playlists = playlists
        self._unreachable = unreachable
        self._now = now

    def matching(self, rule: Rule) -> list[str]:
        return [track_id for track_id, row in self._rows.items() if self.holds(rule, row)]

    def holds(self, rule: Rule, row: Row) -> bool:
        match rule:
            case AllOf(parts):
                return all(self.holds(part, row) for part in parts)
            case AnyOf(parts):
                return any(self.holds(part, row) for part in parts)
            case Not(part):
                return not self.holds(part, row)
            case Condition():
                return self._condition(rule, row)

    def _condition(self, condition: Condition, row: Row) -> bool:
        field, op, value = condition.field, condition.op, condition.value
        negated = {
            Op.IS_NOT: Op.IS, Op.NOT_IN: Op.IN, Op.NOT_CONTAINS: Op.CONTAINS, Op.NOT_IN_LAST: Op.IN_LAST,
            Op.EXCLUDES: Op.INCLUDES, Op.NOT_IN_PLAYLIST: Op.IN_PLAYLIST, Op.IS_PRESENT: Op.IS_MISSING,
        }  # fmt: skip
        if op in negated:
            return not self._condition(Condition(field, negated[op], value), row)
        if op is Op.IN:
            return any(self._condition(Condition(field, Op.IS, item), row) for item in value)
        if op is Op.IN_PLAYLIST:
            return row["id"] in self._playlists.get(value, set())
        if op is Op.SIMILAR_TO:
            other = self._rows.get(value)
            return other is not None and other is not row and _similar(row, other)
        actual = self._value(field, row)
        if op is Op.IS_MISSING:
            return actual is None or actual in ("", [])
        if field.kind is Kind.LIST:
            return any(_includes(field, row, item) for item in value)
        if field.kind in (Kind.FOLDED, Kind.PLAIN):
            return _text(field, op, value, row, actual)
        if actual is None:
            return False
        if op is Op.IN_LAST:
            assert isinstance(value, Window)
            return bool(actual >= self._now - value.milliseconds)
        if op is Op.KEY_COMPATIBLE:
            assert isinstance(value, Harmony)
            return actual in _mixing(value)
        if op is Op.BPM_COMPATIBLE:
            assert isinstance(value, Tempo)
            return any(low <= actual <= high for low, high in value.ranges)
        compared: dict[Op, Callable[[], bool]] = {
            Op.IS: lambda: actual == value,
            Op.GT: lambda: actual > value,
            Op.GTE: lambda: actual >= value,
            Op.LT: lambda: actual < value,
            Op.LTE: lambda: actual <= value,
            Op.BEFORE: lambda: actual < value,
            Op.AFTER: lambda: actual > value,
            Op.BETWEEN: lambda: value[0] <= actual <= value[1],
        }
        return compared[op]()

    def _value(self, field: Field, row: Row) -> Any:
        """What the track's resource shows under the field's name."""
        key = None if row["key_index"] is None else key_from_index(row["key_index"])
        reason, since = self._unreachable.get(row["library_directory_id"], (None, None))
        if reason is None and row["missing_since"] is not None:
            reason, since = "file", row["missing_since"]
        derived = {
            "key": key, "camelot": key, "key_name": key, "musical_key": key and key.tonic, "mode": key and key.mode,
            "missing_reason": reason, "missing_since": since, "is_missing": reason is not None,
            "is_duplicate": row["duplicate_group_id"] is not None,
            "has_stems": "stems" in orjson.loads(row["analysis_stages"]),
            "file_modified": row["file_mtime_ns"] // 1_000_000,
        }  # fmt: skip
        if field.name in derived:
            return derived[field.name]
        value = row[field.name]
        if field.kind is Kind.LIST:
            return orjson.loads(value)
        return bool(value) if field.kind is Kind.FLAG else value


def _text(field: Field, op: Op, value: str, row: Row, actual: str | None) -> bool:
    if field.kind is Kind.FOLDED and fold(value):
        wanted, texts = fold(value), [] if actual is None else [fold(actual)]
        if op is Op.IS and field.name in ("genre", "artist"):
            texts += _more(row, f"{field.name}s")
    else:
        wanted, texts = lower_ascii(value), [] if actual is None else [lower_ascii(actual)]
    return any(
        {
            Op.IS: text == wanted,
            Op.CONTAINS: wanted in text,
            Op.STARTS_WITH: text.startswith(wanted),
            Op.ENDS_WITH: text.endswith(wanted),
        }[op]
        for text in texts
    )


def _more(row: Row, name: str) -> list[str]:
    """The folded values of a list that holds more than the one in the field of its own."""
    values = orjson.loads(row[name])
    return [fold(value) for value in values] if len(values) > 1 else []


def _includes(field: Field, row: Row, wanted: str) -> bool:
    values: list[str] = orjson.loads(row[field.name])
    if field.name == "analysis_stages" or not fold(wanted):
        return wanted in values
    if field.name == "tags":
        return fold(wanted) in [fold(value) for value in values]
    single = row[field.name.removesuffix("s")]
    return fold(wanted) in [*_more(row, field.name), fold(single or "")]


def _mixing(harmony: Harmony) -> set[Key]:
    """Told on the wheel: the same hour, one hour either way in the same mode; boosts are two and seven hours up."""
    key = harmony.key
    hour = key.wheel_number
    hours = [hour, hour % 12 + 1, (hour + 10) % 12 + 1]
    if harmony.is_boosted:
        hours += [(hour + 1) % 12 + 1, (hour + 6) % 12 + 1]
    return {Key.on_wheel(number, key.mode) for number in hours} | {Key.on_wheel(hour, 1 - key.mode)}


def _similar(row: Row, other: Row) -> bool:
    if other["bpm"] is None and other["key_index"] is None and other["energy"] is None:
        return False
    if other["bpm"] is not None:
        targets = [other["bpm"], other["bpm"] / 2, other["bpm"] * 2]
        if row["bpm"] is None or not any(abs(row["bpm"] - target) <= target * 0.06 for target in targets):
            return False
    if other["key_index"] is not None:
        if row["key_index"] is None:
            return False
        if key_from_index(row["key_index"]) not in key_from_index(other["key_index"]).neighbours():
            return False
    if other["energy"] is not None:
        return row["energy"] is not None and abs(row["energy"] - other["energy"]) <= 0.2
    return True
