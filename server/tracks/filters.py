"""From the validated filters of a query to one condition over the columns of `tracks`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from server import paths
from server.db.sql import NOTHING, Where, all_of, any_of, like_literal
from server.metadata.key import MAJOR, MINOR, Key
from server.tracks.fold import fold
from server.tracks.model import key_order

EQUALS = ("artist", "album", "album_artist", "genre", "title", "label", "composer", "remixer", "comment")
RANGES = {
    "bpm": "bpm",
    "year": "year",
    "rating": "rating",
    "energy": "energy",
    "energy_level": "energy_level",
    "danceability": "danceability",
    "valence": "valence",
    "duration": "duration_seconds",
    "bit_rate": "bit_rate",
    "play_count": "play_count",
}
MOMENTS = {"added": "date_added", "last_played": "last_played"}
_MULTI = {"artist", "genre"}
_SYMBOLS = "({0}_fold IS NULL AND {0} LIKE {1} ESCAPE '\\')"

UNREACHABLE = "SELECT library_directory_id FROM track_locations WHERE unreachable_reason IS NOT NULL"


@dataclass(frozen=True, slots=True)
class Filters(Where):
    """The condition, and the values it was made of."""

    values: Mapping[str, Any] = field(default_factory=dict)


class Binder:
    """Hands out parameter names, so that conditions can be combined freely."""

    def __init__(self) -> None:
        self._next = 0

    def where(self, template: str, *values: Any) -> Where:
        """`where("bpm >= {}", 120)` → `bpm >= :f0`."""
        names = []
        params = {}
        for value in values:
            name = f"f{self._next}"
            self._next += 1
            names.append(f":{name}")
            params[name] = value
        return Where(template.format(*names), params)


def compile_filters(values: Mapping[str, Any], binder: Binder | None = None) -> Where:
    """All filters in `values` that aren't None, combined with AND; a list's items are alternatives."""
    binder = binder or Binder()
    conditions: list[Where] = []
    for name, value in values.items():
        if value is None or name not in _COMPILERS:
            continue
        conditions.append(_COMPILERS[name](binder, value))
    condition = all_of(conditions)
    return Filters(condition.sql, condition.params, values)


def _equals(column: str) -> Callable[[Binder, Sequence[str]], Where]:
    def compile_(binder: Binder, values: Sequence[str]) -> Where:
        return any_of([_equals_one(binder, column, value) for value in values])

    return compile_


def _equals_one(binder: Binder, column: str, value: str) -> Where:
    folded = fold(value)
    if not folded:
        # An empty value asks for tracks that have none; a name of punctuation only (`!!!`) folds to nothing.
        return binder.where(f"{column} = {{}}", value) if value.strip() else Where(f"{column}_fold IS NULL")
    first = binder.where(f"{column}_fold = {{}}", folded)
    return first if column not in _MULTI else first | (_has_several(column) & _has_term(binder, column, "= {}", folded))


def _has_term(binder: Binder, field: str, comparison: str, value: str) -> Where:
    # Sub-query by key, not a join: it stays cheap in whatever order the planner walks the tracks.
    return binder.where(
        f"EXISTS (SELECT 1 FROM track_terms m WHERE m.field = '{field}' AND m.term {comparison}"
        " AND m.track_pk = tracks.pk)",
        value,
    )


def _contains(column: str) -> Callable[[Binder, Sequence[str]], Where]:
    def compile_(binder: Binder, values: Sequence[str]) -> Where:
        return any_of([_contains_one(binder, column, value) for value in values])

    return compile_


def _contains_one(binder: Binder, column: str, value: str) -> Where:
    folded = fold(value)
    if not folded:
        symbols = value.strip()
        return binder.where(_SYMBOLS.format(column, "{}"), _within(symbols)) if symbols else NOTHING
    pattern = _within(folded)
    first = binder.where(f"{column}_fold LIKE {{}} ESCAPE '\\'", pattern)
    if column not in _MULTI:
        return first
    return first | (_has_several(column) & _has_term(binder, column, "LIKE {} ESCAPE '\\'", pattern))


def holds_symbols(column: str, symbols: str, name: str) -> Where:
    """Whether a column holds symbols in a name of nothing else, which folds to nothing; `name`: of the parameter."""
    return Where(_SYMBOLS.format(column, f":{name}"), {name: _within(symbols)})


def _within(text: str) -> str:
    return f"%{like_literal(text)}%"


def _has_several(column: str) -> Where:
    """Tells from the row itself that there are no terms to look up, which is so for most tracks."""
    return Where(f"{column}s LIKE '%\",\"%'")


def _bound(column: str, operator: str) -> Callable[[Binder, float], Where]:
    return lambda binder, value: binder.where(f"{column} {operator} {{}}", value)


def _one_of(column: str) -> Callable[[Binder, Sequence[Any]], Where]:
    def compile_(binder: Binder, values: Sequence[Any]) -> Where:
        return binder.where(f"{column} IN {{}}", list(values))

    return compile_


def _keys(meant: Callable[[Any], Sequence[Key]]) -> Callable[[Binder, Sequence[Any]], Where]:
    """Keys are listed one by one, so that the index on `key_order` serves."""

    def compile_(binder: Binder, values: Sequence[Any]) -> Where:
        return binder.where("key_order IN {}", sorted({key_order(key) for value in values for key in meant(value)}))

    return compile_


def _flag(column: str) -> Callable[[Binder, bool], Where]:
    return lambda binder, value: binder.where(f"{column} = {{}}", int(value))


def _presence(condition: str) -> Callable[[Binder, bool], Where]:
    def compile_(_: Binder, value: bool) -> Where:
        return Where(condition) if value else ~Where(condition)

    return compile_


def _formats(binder: Binder, values: Sequence[str]) -> Where:
    return binder.where("format IN {}", [value.lower() for value in values])


def _path_prefix(binder: Binder, values: Sequence[str]) -> Where:
    return any_of([_below(binder, paths.inside("path_prefix", value).decode()) for value in values])


def _below(binder: Binder, path: str) -> Where:
    """A file, or all that lies in a folder: a range, since LIKE ignores case on one database. `0` follows `/`."""
    return binder.where(
        "(relative_path = {} OR (relative_path > {} AND relative_path < {}))", path, f"{path}/", f"{path}0"
    )


def _tag(binder: Binder, values: Sequence[str]) -> Where:
    return any_of([_has_term(binder, "tag", "= {}", fold(value)) for value in values])


_COMPILERS: dict[str, Callable[[Binder, Any], Where]] = {
    **{name: _equals(name) for name in EQUALS},
    **{f"{name}_contains": _contains(name) for name in EQUALS},
    **{f"{name}_min": _bound(column, ">=") for name, column in RANGES.items()},
    **{f"{name}_max": _bound(column, "<=") for name, column in RANGES.items()},
    **{f"{name}_after": _bound(column, ">") for name, column in MOMENTS.items()},
    **{f"{name}_before": _bound(column, "<") for name, column in MOMENTS.items()},
    "key": _keys(lambda tonic: [Key(tonic, MINOR), Key(tonic, MAJOR)]),
    "mode": _keys(lambda mode: [Key(tonic, mode) for tonic in range(12)]),
    "camelot": _keys(lambda key: [key]),
    "compatible_with": _keys(lambda key: key.neighbours()),
    "never_played": _presence("last_played IS NULL AND play_count = 0"),
    "format": _formats,
    "library_id": _one_of("library_directory_id"),
    "path_prefix": _path_prefix,
    "is_missing": _presence(f"(missing_since IS NOT NULL OR library_directory_id IN ({UNREACHABLE}))"),
    "is_analyzed": _flag("is_analyzed"),
    "is_favorite": _flag("is_favorite"),
    "has_artwork": _flag("has_artwork"),
    "color_tag": _one_of("color_tag"),
    "tag": _tag,
    "duplicate_group_id": _one_of("duplicate_group_id"),
    "is_duplicate": _presence("duplicate_group_id IS NOT NULL"),
    "ids": _one_of("id"),
}
NAMES = frozenset(_COMPILERS)
