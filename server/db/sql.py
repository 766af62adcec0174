"""SQL as text: parameter styles, splitting a script, and the small `Where` value that dynamic filters are made of."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

_TOKEN = re.compile(
    r"""(?P<skip>'(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\n]*|::\w+)|(?:\b(?P<not>NOT\s+)?IN\s+:(?P<list>[a-z_]\w*))|:(?P<name>[a-z_]\w*)""",
    re.IGNORECASE,
)


@lru_cache(maxsize=2048)
def for_sqlite(sql: str) -> tuple[str, frozenset[str]]:
    """SQLite takes `:name` as it is; `IN :name` becomes a query over a JSON array. Returns the names of the lists."""
    lists: set[str] = set()

    def rewrite(match: re.Match[str]) -> str:
        name = match["list"]
        if name is None:
            return match[0]
        lists.add(name)
        return f"{match['not'] or ''}IN {json_list(name)}"

    return _TOKEN.sub(rewrite, sql), frozenset(lists)


def json_list(name: str) -> str:
    """The values of a list that is bound as one JSON array."""
    return f"(SELECT value FROM json_each(:{name}))"


@lru_cache(maxsize=2048)
def for_postgres(sql: str) -> tuple[str, tuple[str, ...]]:
    """`:name` becomes `$n`, `IN :name` `= ANY($n)`, `NOT IN :name` `<> ALL($n)`. Returns the names in their order."""
    names: list[str] = []

    def number(name: str) -> int:
        if name not in names:
            names.append(name)
        return names.index(name) + 1

    def rewrite(match: re.Match[str]) -> str:
        if match["list"]:
            return f"{'<> ALL' if match['not'] else '= ANY'}(${number(match['list'])})"
        if match["name"]:
            return f"${number(match['name'])}"
        return match[0]

    return _TOKEN.sub(rewrite, sql), tuple(names)


def statements(script: str) -> Iterator[str]:
    """Split a SQLite script; a trigger's inner `;` ends no statement, as `sqlite3.complete_statement` knows."""
    pending = ""
    for line in script.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            if _has_code(pending):
                yield pending.strip()
            pending = ""
    if _has_code(pending):
        raise ValueError(f"the script ends inside a statement: {pending.strip()[:80]!r}")


def _has_code(text: str) -> bool:
    return any(line.strip() and not line.strip().startswith("--") for line in text.splitlines())


@dataclass(frozen=True, slots=True)
class Where:
    """A condition: its SQL text and the parameters it binds. Combined with `&`, `|` and `~`.

    Parameter names must differ between the parts that are combined; `bind` makes ones that do.
    """

    sql: str
    params: Mapping[str, Any] = field(default_factory=dict)

    def __and__(self, other: Where) -> Where:
        if not self.sql:
            return other
        if not other.sql:
            return self
        return Where(f"{self.sql} AND {other.sql}", {**self.params, **other.params})

    def __or__(self, other: Where) -> Where:
        if not self.sql or not other.sql:
            return EVERYTHING
        return Where(f"({self.sql} OR {other.sql})", {**self.params, **other.params})

    def __invert__(self) -> Where:
        # `IS NOT TRUE`, not `NOT`: a condition that is unknown (NULL) doesn't hold, so its opposite does.
        return Where(f"(({self.sql}) IS NOT TRUE)", self.params) if self.sql else NOTHING

    def clause(self) -> str:
        """` WHERE …`, or nothing for the condition that always holds."""
        return f" WHERE {self.sql}" if self.sql else ""


EVERYTHING = Where("")
NOTHING = Where("1 = 0")


def bind(template: str, *values: Any, start: int) -> Where:
    """`bind("bpm >= {} AND bpm <= {}", 120, 130, start=4)` → parameters `:p4` and `:p5`."""
    names = [f"p{start + offset}" for offset in range(len(values))]
    return Where(template.format(*(f":{name}" for name in names)), dict(zip(names, values, strict=True)))


def all_of(conditions: Iterable[Where]) -> Where:
    result = EVERYTHING
    for condition in conditions:
        result = result & condition
    return result


def any_of(conditions: Iterable[Where]) -> Where:
    """The alternative of all conditions; of none, nothing holds."""
    parts = list(conditions)
    if not parts:
        return NOTHING
    result = parts[0]
    for part in parts[1:]:
        result = result | part
    return result


def like_literal(text: str) -> str:
    """`text` with LIKE's wildcards made literal, for use with `ESCAPE '\\'`."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
