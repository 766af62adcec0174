"""What is done in a SQLite connection's thread, in one call each: a hop between threads costs more than a query."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import orjson

from server.db import sql as sqltext
from server.db.database import Params, Query, Row


def begun(connection: sqlite3.Connection, function: Callable[..., Any], *arguments: Any) -> Any:
    connection.execute("BEGIN").close()
    return function(connection, *arguments)


def fetch_all(connection: sqlite3.Connection, sql: str, values: dict[str, Any]) -> list[sqlite3.Row]:
    return connection.execute(sql, values).fetchall()


def fetch_at_once(connection: sqlite3.Connection, queries: Sequence[Query]) -> list[Sequence[Row]]:
    found: list[Sequence[Row]] = []
    for query in queries:
        asked = query(found)
        found.append([] if asked is None else fetch_all(connection, *prepare(*asked)))
    return found


def execute(connection: sqlite3.Connection, sql: str, values: dict[str, Any]) -> int:
    cursor = connection.execute(sql, values)
    count = cursor.rowcount
    cursor.close()
    return count


def execute_many(connection: sqlite3.Connection, sql: str, rows: Iterable[Params]) -> None:
    connection.executemany(sql, rows).close()


def prepare(sql: str, params: Params | None) -> tuple[str, dict[str, Any]]:
    text, lists = sqltext.for_sqlite(sql)
    values = dict(params or {})
    for name in lists:
        items = list(values.pop(name))
        if items and isinstance(items[0], bytes):
            # JSON has no bytes; these are bound one by one.
            text = text.replace(sqltext.json_list(name), f"({', '.join(f':{name}_{n}' for n in range(len(items)))})")
            values.update({f"{name}_{n}": item for n, item in enumerate(items)})
        else:
            values[name] = orjson.dumps(items).decode()
    return text, values


def roll_back(connection: sqlite3.Connection) -> None:
    # SQLite has already rolled back by itself after some errors (a full disk among them).
    if connection.in_transaction:
        connection.execute("ROLLBACK")
