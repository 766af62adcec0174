"""Criteria as data: read from JSON, with errors that name the place (`all[1].any[0].op`); what they depend on.

    {"all": [{"field": "bpm", "op": "between", "value": [124, 130]}, {"not": {"field": "genre", "op": "is_missing"}}],
     "sort": ["-energy"], "limit": 100, "limit_by": "count"}

The flat form (`{"bpm_min": 124, "genres": ["Techno"]}`) stands for the same; beside `all`, `any` or `not` it is ANDed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from server import errors
from server.playlists import flat
from server.playlists.fields import ALIASES, FIELDS, Field, Op
from server.playlists.values import Unfit, Window, parse_value
from server.tracks.listing import SORTABLE

MAX_DEPTH = 16
MAX_CONDITIONS = 500
MAX_LIMIT = 1_000_000
_GROUPS = ("all", "any", "not")


@dataclass(frozen=True, slots=True)
class Condition:
    """One field compared with one value; `value` in the form of `values.parse_value`."""

    field: Field
    op: Op
    value: Any


@dataclass(frozen=True, slots=True)
class AllOf:
    parts: tuple[Rule, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    parts: tuple[Rule, ...]


@dataclass(frozen=True, slots=True)
class Not:
    part: Rule


Rule = Condition | AllOf | AnyOf | Not


class LimitBy(StrEnum):
    """`duration` in seconds."""

    COUNT = "count"
    DURATION = "duration"
    BYTES = "bytes"


@dataclass(frozen=True, slots=True)
class Criteria:
    """A rule, the order of what it matches, and how much of that is taken."""

    rule: Rule
    sort: tuple[str, ...] = ()
    limit: float | None = None
    limit_by: LimitBy = LimitBy.COUNT

    def conditions(self) -> Iterator[Condition]:
        return _conditions(self.rule)

    @property
    def columns(self) -> frozenset[str]:
        """The columns of `tracks` whose change can change the result."""
        found = {column for condition in self.conditions() for column in _columns(condition)}
        found |= self.sort_columns
        if self.limit is not None and self.limit_by is not LimitBy.COUNT:
            found.add("duration_seconds" if self.limit_by is LimitBy.DURATION else "file_size")
        return frozenset(found)

    @property
    def sort_columns(self) -> frozenset[str]:
        """The columns of `tracks` whose change can move a track inside the result."""
        return frozenset(SORTABLE[name.removeprefix("-")][0] for name in self.sort)

    @property
    def playlist_ids(self) -> frozenset[str]:
        """The playlists that conditions refer to."""
        return frozenset(
            condition.value for condition in self.conditions() if condition.op in (Op.IN_PLAYLIST, Op.NOT_IN_PLAYLIST)
        )

    @property
    def track_ids(self) -> frozenset[str]:
        """The tracks that conditions compare with."""
        return frozenset(condition.value for condition in self.conditions() if condition.op is Op.SIMILAR_TO)

    @property
    def windows(self) -> tuple[Window, ...]:
        """The stretches of time that end now: with any, the result changes with the clock."""
        return tuple(condition.value for condition in self.conditions() if isinstance(condition.value, Window))


def _conditions(rule: Rule) -> Iterator[Condition]:
    match rule:
        case Condition():
            yield rule
        case AllOf(parts) | AnyOf(parts):
            for part in parts:
                yield from _conditions(part)
        case Not(part):
            yield from _conditions(part)


def _columns(condition: Condition) -> frozenset[str]:
    if condition.op is Op.SIMILAR_TO:
        return frozenset({"bpm", "key_index", "energy"})
    if condition.op in (Op.IN_PLAYLIST, Op.NOT_IN_PLAYLIST):
        return frozenset()
    return condition.field.columns


def parse(content: Mapping[str, Any]) -> Criteria:
    """Criteria from JSON; raises `Invalid`, which lists every fault with its place."""
    reader = _Reader()
    criteria = reader.criteria(content)
    if reader.faults:
        raise errors.Invalid(
            "; ".join(f"{fault.field}: {fault.message}" for fault in reader.faults), fields=reader.faults
        )
    return criteria


class _Reader:
    def __init__(self) -> None:
        self.faults: list[errors.FieldError] = []
        self._count = 0

    def criteria(self, content: Mapping[str, Any]) -> Criteria:
        parts: list[Rule] = []
        for name, value in content.items():
            if name in flat.FORMS:
                parts += self._flat(name, value)
            elif name in _GROUPS:
                parts.append(self._group(name, value, name, 1))
            elif name not in ("sort", "limit", "limit_by", "field", "op", "value"):
                self._fault(name, "isn't known in criteria")
        if "field" in content or "op" in content:
            condition = {name: content[name] for name in ("field", "op", "value") if name in content}
            parts.append(self._condition(condition, ""))
        # A form whose fields are all empty is no wish for every track.
        if all(name in flat.FORMS and value is None for name, value in content.items()):
            self._fault("criteria", 'must name a condition; {"all": []} matches every track')
        return Criteria(
            parts[0] if len(parts) == 1 else AllOf(tuple(parts)),
            self._sort(content.get("sort")),
            *self._limit(content),
        )

    def _rule(self, content: Any, place: str, depth: int) -> Rule:
        if depth > MAX_DEPTH:
            return self._nothing(place, f"is nested more than {MAX_DEPTH} deep")
        if not isinstance(content, Mapping):
            return self._nothing(place, "must be a condition, or one of all, any, not")
        group = next((name for name in _GROUPS if name in content), None)
        if group is None:
            return self._condition(content, f"{place}.")
        for name in content:
            if name != group:
                self._fault(f"{place}.{name}", f"can't stand beside {group}")
        return self._group(group, content[group], f"{place}.{group}", depth + 1)

    def _group(self, name: str, content: Any, place: str, depth: int) -> Rule:
        if name == "not":
            return Not(self._rule(content, place, depth))
        if not isinstance(content, list):
            return self._nothing(place, "must be a list of conditions")
        if name == "any" and not content:
            return self._nothing(place, "must hold at least one condition")
        parts = tuple(self._rule(part, f"{place}[{index}]", depth) for index, part in enumerate(content))
        return AllOf(parts) if name == "all" else AnyOf(parts)

    def _condition(self, content: Mapping[str, Any], prefix: str) -> Rule:
        self._count += 1
        if self._count == MAX_CONDITIONS + 1:
            self._fault(prefix.rstrip(".") or "criteria", f"there are more than {MAX_CONDITIONS} conditions")
        for name in content:
            if name not in ("field", "op", "value"):
                self._fault(f"{prefix}{name}", "isn't known in a condition")
        field = self._field(content.get("field"), f"{prefix}field")
        op = self._op(content.get("op"), field, f"{prefix}op")
        if field is None or op is None:
            return AllOf(())
        try:
            return Condition(field, op, parse_value(field, op, content.get("value")))
        except Unfit as error:
            return self._nothing(f"{prefix}value", str(error))

    def _field(self, name: Any, place: str) -> Field | None:
        field = FIELDS.get(ALIASES.get(name, name)) if isinstance(name, str) else None
        if field is None:
            self._fault(place, f"{name!r} isn't a field" if isinstance(name, str) else "must name a field")
        return field

    def _op(self, name: Any, field: Field | None, place: str) -> Op | None:
        if not isinstance(name, str) or name not in list(Op):
            self._fault(place, f"{name!r} isn't an operator" if isinstance(name, str) else "must name an operator")
            return None
        op = Op(name)
        if field is not None and op not in field.operators:
            fitting = ", ".join(sorted(field.operators))
            self._fault(place, f"{name!r} doesn't fit {field.name}, which takes {fitting}")
            return None
        return op

    def _flat(self, name: str, value: Any) -> list[Rule]:
        if value is None:
            return []
        parts: list[Rule] = []
        for field_name, op, operand in flat.FORMS[name](value):
            field = FIELDS[field_name]
            self._count += 1
            try:
                parts.append(Condition(field, op, parse_value(field, op, operand)))
            except Unfit as error:
                self._fault(name, str(error))
        return parts

    def _sort(self, names: Any) -> tuple[str, ...]:
        if names is None:
            return ()
        if not isinstance(names, list) or len(names) > 10:
            self._fault("sort", "must be a list of up to 10 names")
            return ()
        for index, name in enumerate(names):
            if not isinstance(name, str) or name.removeprefix("-") not in SORTABLE:
                self._fault(f"sort[{index}]", f"{name!r} can't be sorted by")
        return tuple(name for name in names if isinstance(name, str) and name.removeprefix("-") in SORTABLE)

    def _limit(self, content: Mapping[str, Any]) -> tuple[float | None, LimitBy]:
        limit, by = content.get("limit"), content.get("limit_by")
        if by is not None and by not in [item.value for item in LimitBy]:
            self._fault("limit_by", "must be count, duration or bytes")
            return None, LimitBy.COUNT
        limit_by = LimitBy(by) if by is not None else LimitBy.COUNT
        if limit is None:
            if by is not None:
                self._fault("limit_by", "needs a limit")
            return None, limit_by
        largest = MAX_LIMIT if limit_by is LimitBy.COUNT else 2**53
        is_number = isinstance(limit, (int, float)) and not isinstance(limit, bool)
        if not is_number or not 0 < limit <= largest:
            self._fault("limit", f"must be a number above 0, up to {largest}")
            return None, limit_by
        if limit_by is LimitBy.COUNT and limit != int(limit):
            self._fault("limit", "must be a whole number")
        return limit, limit_by

    def _nothing(self, place: str, message: str) -> Rule:
        self._fault(place, message)
        return AllOf(())

    def _fault(self, place: str, message: str) -> None:
        self.faults.append(errors.FieldError(place, message))
