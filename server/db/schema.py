"""The readable result of all migrations, as `schema.sql` shows it: each table with its comments, then its indexes.

Only a description: a database is always made by its migrations. `python -m server.db.schema` writes the file anew.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from server.db import sql as sqltext
from server.db.database import Dialect
from server.db.migrate import DIRECTORY, LEDGER, available

FILE = DIRECTORY.parent / "schema.sql"
_HEAD = """\
-- The database as all migrations make it, in SQLite's dialect. Made by scripts/schema; don't edit, write a migration.
-- Times are Unix milliseconds, flags 0 or 1, lists and objects JSON text, ids UUIDs as text, paths bytes.
"""
_LEDGER_COMMENT = "-- Which migrations were applied, when, and the SHA-256 of the text that was."
_ADD_COLUMN = re.compile(r"ALTER\s+TABLE\s+(\w+)\s+ADD\s+(?:COLUMN\s+)?", re.IGNORECASE)
_RENAME = re.compile(r"ALTER\s+TABLE\s+(\w+)\s+RENAME\s+TO\s+(\w+)", re.IGNORECASE)
_REMARK = re.compile(r",([ \t]*--[^\n]*)\n")
_QUOTED_NAME = re.compile(r'^(CREATE \w+ )"(\w+)"')


def describe(directory: Path = DIRECTORY) -> str:
    """The text of `schema.sql` for the migrations of a folder."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    try:
        comments = {"migrations": _LEDGER_COMMENT}
        connection.execute(LEDGER)
        for migration in available(Dialect.SQLITE, directory):
            for statement in sqltext.statements(migration.sql):
                comment, code = _parted(statement)
                _apply(connection, code, comment, comments)
        return _HEAD + "".join(_blocks(connection, comments))
    finally:
        connection.close()


def _parted(statement: str) -> tuple[str, str]:
    """The comment lines in front of a statement, and the statement."""
    lines = statement.splitlines()
    start = next(n for n, line in enumerate(lines) if line.strip() and not line.lstrip().startswith("--"))
    return "\n".join(line.strip() for line in lines[:start] if line.strip()), "\n".join(lines[start:])


def _apply(connection: sqlite3.Connection, code: str, comment: str, comments: dict[str, str]) -> None:
    before = _objects(connection)
    connection.execute(code)
    after = _objects(connection)
    for name in after.keys() - before.keys():
        comments[name] = comment
    if renamed := _RENAME.match(code):
        comments[renamed[2]] = comments.pop(renamed[1], "") or comment
    if added := _ADD_COLUMN.match(code):
        _lay_out(connection, added[1], before[added[1]], after[added[1]], comment)


def _objects(connection: sqlite3.Connection) -> dict[str, str]:
    return dict(connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY rowid"))


def _lay_out(connection: sqlite3.Connection, table: str, old: str, new: str, comment: str) -> None:
    """SQLite writes an added column behind a comma on the last line; give it a line of its own, with its comment."""
    size = len(new) - len(old)
    place = next(n for n in range(len(old) + 1) if new[n : n + 2] == ", " and new[:n] + new[n + size :] == old)
    *lines, last = new[:place].rstrip().splitlines()
    definition, rest = new[place + 2 : place + size].strip(), new[place + size :]
    if remark := _REMARK.match(rest):
        last, rest = f"{last},{remark[1]}", f",{rest[remark.end(1) :]}"
    else:
        column, dashes, text = last.partition(" --")
        last = f"{column.rstrip()},{dashes}{text}"
    added = [f"    {line}" for line in (*comment.splitlines(), definition)]
    text = "\n".join([*lines, last, *added]) + ("\n" if rest.startswith(")") else "") + rest
    # Written back, so that the next column that is added finds this layout.
    connection.execute("PRAGMA writable_schema = ON")
    connection.execute("UPDATE sqlite_master SET sql = ? WHERE name = ?", (text, table))
    connection.execute("PRAGMA writable_schema = RESET")


def _blocks(connection: sqlite3.Connection, comments: dict[str, str]) -> Iterator[str]:
    rows = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    virtual = [name for _, name, _, sql in rows if sql.startswith("CREATE VIRTUAL")]
    # A full-text table keeps its data in tables of its own, which it makes itself.
    own = [row for row in rows if not any(row[1].startswith(f"{name}_") for name in virtual)]
    for kind, name, _, sql in own:
        if kind in ("table", "view"):
            parts = [(name, sql), *((part, text) for k, part, of, text in own if of == name and k in _PARTS)]
            yield "\n" + "".join(_shown(text, comments.get(part, "")) for part, text in parts)


_PARTS = ("index", "trigger")


def _shown(sql: str, comment: str) -> str:
    return (f"{comment}\n" if comment else "") + _QUOTED_NAME.sub(r"\1\2", sql) + ";\n"


if __name__ == "__main__":
    FILE.write_text(describe(), encoding="utf-8")
