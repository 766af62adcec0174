"""SQL as text: what the two databases are given for one statement, and conditions that are put together."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from functools import reduce
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.db import sql as sqltext
from server.db.database import Database
from server.db.sql import EVERYTHING, NOTHING, Where, all_of, any_of, bind, like_literal


@pytest.mark.parametrize(
    ("sql", "text", "names"),
    [
        ("SELECT :a, :b, :a", "SELECT $1, $2, $1", ("a", "b")),
        ("SELECT ':a' || :b", "SELECT ':a' || $1", ("b",)),
        ("SELECT 'it''s :a', :b", "SELECT 'it''s :a', $1", ("b",)),
        ('SELECT ":a" FROM t WHERE x = :b', 'SELECT ":a" FROM t WHERE x = $1', ("b",)),
        ("SELECT 1 -- not :a\n, :b", "SELECT 1 -- not :a\n, $1", ("b",)),
        ("SELECT x::text, :b::bigint", "SELECT x::text, $1::bigint", ("b",)),
        ("x IN :ids AND y = :y", "x = ANY($1) AND y = $2", ("ids", "y")),
        ("x in :ids", "x = ANY($1)", ("ids",)),
        ("x NOT IN :ids", "x <> ALL($1)", ("ids",)),
        ("x IN (:a, :b)", "x IN ($1, $2)", ("a", "b")),
        ("x = 'IN :ids' OR x IN :ids", "x = 'IN :ids' OR x = ANY($1)", ("ids",)),
        ("margin :a", "margin $1", ("a",)),
    ],
)
def test_named_parameters_become_numbers_for_postgres(sql: str, text: str, names: tuple[str, ...]) -> None:
    assert sqltext.for_postgres(sql) == (text, names)


def test_lists_become_queries_over_json_for_sqlite() -> None:
    text, lists = sqltext.for_sqlite("SELECT ':a' WHERE x NOT IN :ids AND y IN :more AND z = :z")
    assert text == (
        "SELECT ':a' WHERE x NOT IN (SELECT value FROM json_each(:ids))"
        " AND y IN (SELECT value FROM json_each(:more)) AND z = :z"
    )
    assert lists == {"ids", "more"}


async def _insert(database: Database) -> None:
    async with database.write() as connection:
        await connection.execute_many(
            "INSERT INTO idempotency_keys (key, fingerprint, status, body, created_at)"
            " VALUES (:key, '', :status, :body, 0)",
            [{"key": key, "status": n, "body": key.encode()} for n, key in enumerate(["a", "b", "c", "d"])],
        )


@pytest.mark.parametrize("kind", [list, tuple, set])
async def test_list_of_any_kind_selects_its_members(database: Database, kind: type) -> None:
    await _insert(database)
    rows = await database.fetch_all(
        "SELECT key FROM idempotency_keys WHERE key IN :keys AND status NOT IN :not ORDER BY key",
        {"keys": kind(["a", "b", "x", "d"]), "not": kind([1, 7])},
    )
    assert [row["key"] for row in rows] == ["a", "d"]


async def test_empty_list_selects_nothing_and_excludes_nothing(database: Database) -> None:
    await _insert(database)
    counted = "SELECT count(*) FROM idempotency_keys WHERE"
    assert await database.fetch_value(f"{counted} key IN :keys", {"keys": []}) == 0
    assert await database.fetch_value(f"{counted} key NOT IN :keys", {"keys": []}) == 4
    assert await database.fetch_value(f"{counted} body IN :bodies", {"bodies": []}) == 0


async def test_list_of_bytes_selects_its_members(database: Database) -> None:
    await _insert(database)
    rows = await database.fetch_all(
        "SELECT key FROM idempotency_keys WHERE body IN :bodies OR body IN :others ORDER BY key",
        {"bodies": [b"a", b"\xff\xfe"], "others": [b"c"]},
    )
    assert [row["key"] for row in rows] == ["a", "c"]


async def test_list_may_be_longer_than_any_limit_of_parameters(database: Database) -> None:
    await _insert(database)
    keys = [*(f"unknown {n}" for n in range(50_000)), "b"]
    assert await database.fetch_value("SELECT key FROM idempotency_keys WHERE key IN :keys", {"keys": keys}) == "b"


def test_script_is_split_where_statements_end() -> None:
    script = """-- Things; and more.
CREATE TABLE things (id TEXT DEFAULT ';');

CREATE TRIGGER t AFTER INSERT ON things BEGIN
    DELETE FROM things WHERE id = 'a';
    DELETE FROM things WHERE id = 'b';
END;
-- The end.
"""
    assert [statement.splitlines()[0] for statement in sqltext.statements(script)] == [
        "-- Things; and more.",
        "CREATE TRIGGER t AFTER INSERT ON things BEGIN",
    ]
    with pytest.raises(ValueError, match="ends inside a statement: 'SELECT 1'"):
        list(sqltext.statements("SELECT 1"))


# -- conditions: the database must agree with Python about every combination

_NUMBERS = [None, *range(6)]


@pytest.fixture(scope="module")
def numbers() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE numbers (n INTEGER)")
        connection.executemany("INSERT INTO numbers VALUES (?)", [(n,) for n in _NUMBERS])
        yield connection


class Condition:
    """A condition, and the numbers that pass it."""

    def __init__(self, where: Where, passing: frozenset[int | None]):
        self.where = where
        self.passing = passing


_places = count()


def _at_least(limit: int) -> Condition:
    passing = frozenset(n for n in _NUMBERS if n is not None and n >= limit)
    return Condition(bind("n >= {}", limit, start=next(_places)), passing)


_LEAVES = st.one_of(
    st.just(Condition(EVERYTHING, frozenset(_NUMBERS))),
    st.just(Condition(NOTHING, frozenset())),
    st.builds(_at_least, st.integers(0, 6)),
    st.just(Condition(Where("n IS NULL"), frozenset([None]))),
)
_CONDITIONS = st.recursive(
    _LEAVES,
    lambda inner: st.one_of(
        st.builds(lambda a, b: Condition(a.where & b.where, a.passing & b.passing), inner, inner),
        st.builds(lambda a, b: Condition(a.where | b.where, a.passing | b.passing), inner, inner),
        st.builds(lambda a: Condition(~a.where, frozenset(_NUMBERS) - a.passing), inner),
        st.lists(inner, max_size=4).map(
            lambda parts: Condition(
                all_of(part.where for part in parts),
                reduce(frozenset.__and__, (part.passing for part in parts), frozenset(_NUMBERS)),
            )
        ),
        st.lists(inner, max_size=4).map(
            lambda parts: Condition(
                any_of(part.where for part in parts),
                reduce(frozenset.__or__, (part.passing for part in parts), frozenset()),
            )
        ),
    ),
    max_leaves=12,
)


@given(_CONDITIONS)
def test_conditions_combine_as_sets_do(numbers: sqlite3.Connection, condition: Condition) -> None:
    rows = numbers.execute(f"SELECT n FROM numbers{condition.where.clause()}", dict(condition.where.params))
    assert frozenset(n for (n,) in rows) == condition.passing


@given(st.text(alphabet="a%_\\b", max_size=6), st.text(alphabet="a%_\\b", max_size=6))
def test_literal_in_like_matches_only_itself(numbers: sqlite3.Connection, text: str, other: str) -> None:
    (found,) = numbers.execute("SELECT ? LIKE ? ESCAPE '\\'", (other, like_literal(text))).fetchone()
    assert bool(found) == (text == other)
