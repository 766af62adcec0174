"""From a rule to one SQL condition over `tracks`, on both databases.

Every condition is either true or not: what is missing fulfils no comparison, and so fulfils each opposite (`is_not`,
`not_in`, `excludes`, …) and each `not` around one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

import orjson

from server.db.database import Dialect
from server.db.sql import NOTHING, Where, like_literal
from server.playlists.fields import OPPOSITE, Field, Kind, Op
from server.playlists.rules import AllOf, AnyOf, Condition, Not, Rule
from server.playlists.values import Harmony, Tempo, Window
from server.tracks.filters import Binder
from server.tracks.fold import fold
from server.tracks.model import key_order

ENERGY_DISTANCE = 0.2
SIMILAR_TEMPO = 0.06
_HOURS = 12  # of the Camelot wheel; `key_order` counts two for each
_UPPER = bytes(range(ord("A"), ord("Z") + 1))
_LOWER_ASCII = {upper: upper + 32 for upper in _UPPER}
_COMPARISONS = {
    Op.IS: "=", Op.GT: ">", Op.GTE: ">=", Op.LT: "<", Op.LTE: "<=", Op.BEFORE: "<", Op.AFTER: ">",
}  # fmt: skip
# Alike: tempo within 6 % (also half and double), a key that mixes, energy within 0.2. What the other track lacks isn't
# asked of this one; one that has none of the three is like no track.
_SIMILAR = f"""EXISTS (
    SELECT 1 FROM tracks other WHERE other.id = {{}} AND other.pk <> tracks.pk
    AND (other.bpm IS NOT NULL OR other.key_order IS NOT NULL OR other.energy IS NOT NULL)
    AND (other.bpm IS NULL
        OR abs(tracks.bpm - other.bpm) <= other.bpm * {SIMILAR_TEMPO}
        OR abs(tracks.bpm - other.bpm / 2) <= other.bpm / 2 * {SIMILAR_TEMPO}
        OR abs(tracks.bpm - other.bpm * 2) <= other.bpm * 2 * {SIMILAR_TEMPO})
    AND (other.key_order IS NULL
        OR tracks.key_order / 2 = other.key_order / 2
        OR abs(tracks.key_order - other.key_order) = 2
        OR abs(tracks.key_order - other.key_order) = {2 * (_HOURS - 1)})
    AND (other.energy IS NULL OR abs(tracks.energy - other.energy) <= {ENERGY_DISTANCE})
)"""


def lower_ascii(text: str) -> str:
    """As SQLite's `lower` and PostgreSQL's with the collation "C" do it: A to Z alone."""
    return text.translate(_LOWER_ASCII)


class Compiler:
    """Compiles the conditions of one query, whose parameters then have names of their own. `now` in milliseconds."""

    def __init__(self, dialect: Dialect, now: int):
        self._is_postgres = dialect is Dialect.POSTGRES
        self._now = now
        self._bind = Binder().where

    def rule(self, rule: Rule) -> Where:
        match rule:
            case Condition():
                return self._condition(rule)
            case AllOf(parts):
                return _joined([self.rule(part) for part in parts], " AND ", "1 = 1")
            case AnyOf(parts):
                return _joined([self.rule(part) for part in parts], " OR ", "1 = 0")
            case Not(part):
                return ~self.rule(part)

    def tracks(self, ids: Collection[str]) -> Where:
        """Some tracks only; beside a rule."""
        return self._bind("tracks.id IN {}", sorted(ids))

    def _condition(self, condition: Condition) -> Where:
        field, op, value = condition.field, condition.op, condition.value
        if op in OPPOSITE:
            return ~self._condition(Condition(field, OPPOSITE[op], value))
        if op is Op.IS_MISSING:
            return self._missing(field)
        special = self._special.get(op)
        if special is not None:
            return special(self, field, value)
        return self._by_kind[field.kind](self, field, op, value)

    def _missing(self, field: Field) -> Where:
        if field.kind is Kind.LIST:
            return Where(f"{field.column} = '[]'")
        if field.kind in (Kind.FOLDED, Kind.PLAIN):
            return Where(f"coalesce({field.column}, '') = ''")
        return Where(f"({field.column}) IS NULL")

    # -- by kind

    def _number(self, field: Field, op: Op, value: Any) -> Where:
        if op is Op.IN:
            return self._bind(f"{field.column} IN {{}}", list(value))
        return self._bind(f"{field.column} {_COMPARISONS[op]} {{}}", value)

    def _flag(self, field: Field, _: Op, value: bool) -> Where:
        return self._bind(f"{field.column} = {{}}", int(value))

    def _key(self, field: Field, op: Op, value: Any) -> Where:
        wanted = value if op is Op.IN else (value,)
        return self._bind(f"{field.column} IN {{}}", sorted({key_order(key) for key in wanted}))

    def _id(self, field: Field, op: Op, value: Any) -> Where:
        return self._bind(f"{field.column} IN {{}}", list(value) if op is Op.IN else [value])

    def _plain(self, field: Field, op: Op, value: Any) -> Where:
        if op is Op.IN:
            return self._bind(f"{self._lowered(field)} IN {{}}", [lower_ascii(item) for item in value])
        if op is Op.IS:
            return self._bind(f"{self._lowered(field)} = {{}}", lower_ascii(value))
        return self._bind(f"{self._lowered(field)} LIKE {{}} ESCAPE '\\'", _pattern(op, lower_ascii(value)))

    def _folded(self, field: Field, op: Op, value: Any) -> Where:
        if op in (Op.IS, Op.IN):
            return self._equals(field, value if op is Op.IN else (value,))
        folded = fold(value)
        if not folded:
            # Nothing but punctuation: that is compared as it stands.
            return self._plain(field, op, value)
        return self._bind(f"{field.column}_fold LIKE {{}} ESCAPE '\\'", _pattern(op, folded))

    def _equals(self, field: Field, values: Sequence[str]) -> Where:
        folded = sorted({text for value in values if (text := fold(value))})
        bare = sorted({lower_ascii(value) for value in values if not fold(value)})
        parts = []
        if folded:
            parts.append(self._bind(f"{field.column}_fold IN {{}}", folded))
            if field.terms is not None:
                parts.append(self._term(field.terms, folded))
        if bare:
            parts.append(self._bind(f"{self._lowered(field)} IN {{}}", bare))
        return _joined(parts, " OR ", "1 = 0")

    def _term(self, name: str, folded: Sequence[str]) -> Where:
        return self._bind(
            f"EXISTS (SELECT 1 FROM track_terms m WHERE m.field = '{name}' AND m.term IN {{}}"
            " AND m.track_pk = tracks.pk)",
            list(folded),
        )

    def _lowered(self, field: Field) -> str:
        return f'lower({field.column} COLLATE "C")' if self._is_postgres else f"lower({field.column})"

    # -- operators of their own

    def _between(self, field: Field, value: tuple[Any, Any]) -> Where:
        return self._bind(f"{field.column} BETWEEN {{}} AND {{}}", *value)

    def _in_last(self, field: Field, value: Window) -> Where:
        return self._bind(f"{field.column} >= {{}}", self._now - value.milliseconds)

    def _includes(self, field: Field, values: Sequence[str]) -> Where:
        folded = sorted({text for value in values if (text := fold(value))}) if field.terms else []
        bare = [value for value in values if field.terms is None or not fold(value)]
        parts = []
        if folded and field.terms is not None:
            parts.append(self._term(field.terms, folded))
            if field.terms != "tag":
                # A single genre or artist stands in its own column alone.
                parts.append(self._bind(f"{field.terms}_fold IN {{}}", folded))
        parts += [self._holds_text(field, value) for value in bare]
        return _joined(parts, " OR ", "1 = 0")

    def _holds_text(self, field: Field, value: str) -> Where:
        """The JSON list has exactly this text as an item: a quote inside an item would be escaped."""
        found = "strpos({}, {{}}) > 0" if self._is_postgres else "instr({}, {{}}) > 0"
        return self._bind(found.format(field.column), orjson.dumps(value).decode())

    def _in_playlist(self, field: Field, value: str) -> Where:
        return self._bind(
            f"{field.column} IN (SELECT e.track_id FROM playlist_entries e WHERE e.playlist_id = {{}})", value
        )

    def _key_compatible(self, field: Field, value: Harmony) -> Where:
        return self._bind(f"{field.column} IN {{}}", sorted({key_order(key) for key in value.keys}))

    def _bpm_compatible(self, field: Field, value: Tempo) -> Where:
        return _joined([self._between(field, limits) for limits in value.ranges], " OR ", "1 = 0")

    def _similar(self, _: Field, value: str) -> Where:
        return self._bind(_SIMILAR, value)

    _by_kind: dict[Kind, Callable[[Compiler, Field, Op, Any], Where]] = {  # noqa: RUF012 # a table of methods
        Kind.NUMBER: _number, Kind.TIME: _number, Kind.FLAG: _flag, Kind.KEY: _key, Kind.ID: _id, Kind.PLAIN: _plain,
        Kind.FOLDED: _folded,
    }  # fmt: skip
    _special: dict[Op, Callable[[Compiler, Field, Any], Where]] = {  # noqa: RUF012 # a table of methods
        Op.BETWEEN: _between, Op.IN_LAST: _in_last, Op.INCLUDES: _includes, Op.IN_PLAYLIST: _in_playlist,
        Op.KEY_COMPATIBLE: _key_compatible, Op.BPM_COMPATIBLE: _bpm_compatible, Op.SIMILAR_TO: _similar,
    }  # fmt: skip


def _joined(parts: Sequence[Where], joint: str, of_none: str) -> Where:
    """All parts in one pair of brackets: nested pairs would soon be too deep for SQLite's parser."""
    if not parts:
        return Where(of_none) if of_none == "1 = 1" else NOTHING
    if len(parts) == 1:
        return parts[0]
    params: dict[str, Any] = {}
    for part in parts:
        params.update(part.params)
    return Where(f"({joint.join(part.sql for part in parts)})", params)


def _pattern(op: Op, text: str) -> str:
    literal = like_literal(text)
    return {Op.CONTAINS: f"%{literal}%", Op.STARTS_WITH: f"{literal}%", Op.ENDS_WITH: f"%{literal}"}[op]
