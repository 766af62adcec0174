"""What a database is made of, in words that SQLite and PostgreSQL share."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from server.db.database import Connection

_KINDS = {
    "INTEGER": "integer", "BIGINT": "integer", "REAL": "real", "TEXT": "text", "BLOB": "bytes",
    "bigint": "integer", "double precision": "real", "text": "text", "bytea": "bytes", "tsvector": "tsvector",
}  # fmt: skip


@dataclass(frozen=True)
class Column:
    kind: str
    is_required: bool
    default: str | None


@dataclass(frozen=True)
class ForeignKey:
    columns: tuple[str, ...]
    table: str
    on_delete: str


@dataclass(frozen=True)
class Index:
    """`is_partial` instead of its condition, which the two databases write differently."""

    columns: tuple[str, ...]
    is_unique: bool
    is_partial: bool


@dataclass(frozen=True)
class Table:
    """`unique` holds the columns of each UNIQUE constraint; indexes that were made for a key are left out."""

    columns: dict[str, Column]
    key: tuple[str, ...]
    unique: frozenset[tuple[str, ...]]
    foreign_keys: frozenset[ForeignKey]
    indexes: dict[str, Index]


def of_sqlite(database: sqlite3.Connection) -> dict[str, Table]:
    return {name: _sqlite_table(database, name) for name in _sqlite_tables(database)}


def texts_of_sqlite(database: sqlite3.Connection) -> dict[str, str]:
    """The SQL of everything that isn't a plain table, without comments and line breaks."""
    plain = set(_sqlite_tables(database))
    rows = database.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL")
    return {name: _plain(sql) for name, sql in rows if name not in plain}


def checks_of_sqlite(database: sqlite3.Connection) -> dict[str, list[str]]:
    """The CHECKs of each plain table, which SQLite keeps only as text."""
    rows = database.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table' AND sql LIKE '%CHECK%'")
    return {name: sorted(re.findall(r"CHECK\s*\((?:[^()]|\([^()]*\))*\)", _plain(sql))) for name, sql in rows}


def _plain(sql: str) -> str:
    return " ".join(re.sub(r"--[^\n]*", "", sql).split())


def _sqlite_tables(database: sqlite3.Connection) -> list[str]:
    rows = database.execute("SELECT name, type FROM pragma_table_list WHERE schema = 'main' ORDER BY name")
    return [name for name, kind in rows if kind == "table" and not name.startswith("sqlite_")]


def _sqlite_table(database: sqlite3.Connection, table: str) -> Table:
    info = database.execute(
        'SELECT name, type, "notnull", dflt_value, pk FROM pragma_table_info(?)', [table]
    ).fetchall()
    indexes = database.execute('SELECT name, "unique", origin, partial FROM pragma_index_list(?)', [table]).fetchall()
    columns_of = {
        name: tuple(row[0] for row in database.execute("SELECT name FROM pragma_index_info(?)", [name]))
        for name, *_ in indexes
    }
    keys: dict[int, list[tuple[str, str, str]]] = {}
    for number, other, column, on_delete in database.execute(
        'SELECT id, "table", "from", on_delete FROM pragma_foreign_key_list(?) ORDER BY id, seq', [table]
    ):
        keys.setdefault(number, []).append((column, other, on_delete))
    return Table(
        columns={
            # SQLite lets a text key be null by an old mistake that it keeps; a key is meant to be required.
            name: Column(_KINDS[kind], bool(required or place), default)
            for name, kind, required, default, place in info
        },
        key=tuple(name for name, *_, place in sorted(info, key=lambda row: row[4]) if place),
        unique=frozenset(columns_of[name] for name, _, origin, _ in indexes if origin == "u"),
        foreign_keys=frozenset(
            ForeignKey(tuple(column for column, *_ in parts), parts[0][1], parts[0][2]) for parts in keys.values()
        ),
        indexes={
            name: Index(columns_of[name], bool(unique), bool(partial))
            for name, unique, origin, partial in indexes
            if origin == "c"
        },
    )


async def of_postgres(connection: Connection) -> dict[str, Table]:
    names = await connection.fetch_values(
        "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename"
    )
    return {name: await _postgres_table(connection, name) for name in names}


async def _postgres_table(connection: Connection, table: str) -> Table:
    params = {"table": table}
    info = await connection.fetch_all(
        "SELECT column_name, data_type, is_nullable, column_default FROM information_schema.columns"
        " WHERE table_name = :table ORDER BY ordinal_position",
        params,
    )
    constraints = await connection.fetch_all(
        """
        SELECT contype::text AS kind, confrelid::regclass::text AS other, confdeltype::text AS on_delete,
            ARRAY(SELECT attname::text FROM unnest(conkey) WITH ORDINALITY AS k (number, place)
                JOIN pg_attribute ON attrelid = conrelid AND attnum = k.number ORDER BY k.place) AS columns
        FROM pg_constraint WHERE conrelid = CAST(CAST(:table AS text) AS regclass)
        """,
        params,
    )
    indexes = await connection.fetch_all(
        """
        SELECT c.relname AS name, i.indisunique AS is_unique, i.indpred IS NOT NULL AS is_partial,
            ARRAY(SELECT attname::text FROM unnest(i.indkey) WITH ORDINALITY AS k (number, place)
                JOIN pg_attribute ON attrelid = i.indrelid AND attnum = k.number ORDER BY k.place) AS columns
        FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
        WHERE i.indrelid = CAST(CAST(:table AS text) AS regclass)
            AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = i.indexrelid AND contype IN ('p', 'u'))
        """,
        params,
    )
    keys = [tuple(row["columns"]) for row in constraints if row["kind"] == "p"]
    return Table(
        columns={name: Column(_KINDS[kind], nullable == "NO", _default(text)) for name, kind, nullable, text in info},
        key=_only(keys),
        unique=frozenset(tuple(row["columns"]) for row in constraints if row["kind"] == "u"),
        foreign_keys=frozenset(
            ForeignKey(tuple(row["columns"]), row["other"], _ON_DELETE[row["on_delete"]])
            for row in constraints
            if row["kind"] == "f"
        ),
        indexes={row["name"]: Index(tuple(row["columns"]), row["is_unique"], row["is_partial"]) for row in indexes},
    )


_ON_DELETE = {"a": "NO ACTION", "c": "CASCADE", "n": "SET NULL", "r": "RESTRICT"}


def _only(keys: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    return keys[0] if keys else ()


def _default(text: str | None) -> str | None:
    """PostgreSQL adds the type: `'[]'::text`, `'0'::bigint`."""
    return None if text is None else text.partition("::")[0]
