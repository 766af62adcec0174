"""`schema.sql` and the two sets of migrations describe one database."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from server import errors
from server.db import schema
from server.db import sql as sqltext
from server.db.database import Dialect
from server.db.migrate import DIRECTORY, LEDGER, available
from server.db.postgres import PostgresDatabase
from tests.conftest import IS_POSTGRES
from tests.db import shape

# What only one database has, and why.
_ONLY_POSTGRES_COLUMNS = {
    ("tracks", "words"): "the tsvector that is searched; SQLite has the table track_words",
    ("tracks", "fragments"): "the text whose trigrams are indexed; SQLite has the table track_fragments",
}
_ONLY_POSTGRES_INDEXES = {
    ("tracks", "tracks_words"): "over the column words",
    ("tracks", "tracks_fragments"): "over the column fragments, where pg_trgm is at hand",
}
# SQLite's full-text tables (track_words, track_fragments) and their view are no plain tables, and aren't compared.


@pytest.fixture
def migrated() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:")) as database:
        database.execute(LEDGER)
        for migration in available(Dialect.SQLITE):
            for statement in sqltext.statements(migration.sql):
                database.execute(statement)
        yield database


def test_schema_file_is_what_the_script_writes() -> None:
    assert schema.FILE.read_text() == schema.describe(), "run scripts/schema"


def test_database_of_the_schema_file_equals_one_of_the_migrations(migrated: sqlite3.Connection) -> None:
    with closing(sqlite3.connect(":memory:")) as described:
        described.executescript(schema.FILE.read_text())
        assert shape.of_sqlite(described) == shape.of_sqlite(migrated)
        assert shape.texts_of_sqlite(described) == shape.texts_of_sqlite(migrated)
        assert shape.checks_of_sqlite(described) == shape.checks_of_sqlite(migrated)


def test_every_comment_of_the_migrations_stands_in_the_schema_file() -> None:
    text = schema.FILE.read_text()
    for migration in available(Dialect.SQLITE):
        for statement in sqltext.statements(migration.sql):
            # What fills or rewrites tables leaves nothing to be described.
            if re.search(r"^(CREATE|ALTER)\b", statement, re.MULTILINE):
                for comment in re.findall(r"^\s*(--.*)$", statement, re.MULTILINE):
                    assert comment in text


@pytest.mark.skipif(not IS_POSTGRES, reason="not for SQLite: compares with PostgreSQL")
async def test_sqlite_and_postgres_agree(migrated: sqlite3.Connection, database_url: str) -> None:
    database = PostgresDatabase(database_url)
    await database.open()
    try:
        theirs = await shape.of_postgres(database.direct)
    finally:
        await database.close()
    for table, column in _ONLY_POSTGRES_COLUMNS:
        del theirs[table].columns[column]
    for table, index in _ONLY_POSTGRES_INDEXES:
        theirs[table].indexes.pop(index, None)
    ours = shape.of_sqlite(migrated)
    assert theirs.keys() == ours.keys()
    for name, expected in ours.items():
        assert theirs[name] == expected, name


def test_added_column_is_shown_inside_its_table_with_its_comment(tmp_path: Path) -> None:
    (tmp_path / "0001_start.sql").write_text(
        "-- Things.\nCREATE TABLE things (\n    id TEXT, -- theirs\n    size INTEGER, -- bytes\n"
        "    PRIMARY KEY (id)\n);\n"
        "-- Parts of things.\nCREATE TABLE parts (\n    id TEXT PRIMARY KEY -- theirs\n);\n"
    )
    (tmp_path / "0002_more.sql").write_text(
        "-- What they weigh,\n-- in grams.\nALTER TABLE things ADD COLUMN weight INTEGER NOT NULL DEFAULT 0;\n"
        "ALTER TABLE things ADD COLUMN colour TEXT;\nALTER TABLE parts ADD shape TEXT;\n"
        "CREATE INDEX things_colour ON things (colour);\n"
    )
    text = schema.describe(tmp_path)
    assert text.endswith(
        """
-- Things.
CREATE TABLE things (
    id TEXT, -- theirs
    size INTEGER, -- bytes
    -- What they weigh,
    -- in grams.
    weight INTEGER NOT NULL DEFAULT 0,
    colour TEXT,
    PRIMARY KEY (id)
);
CREATE INDEX things_colour ON things (colour);

-- Parts of things.
CREATE TABLE parts (
    id TEXT PRIMARY KEY, -- theirs
    shape TEXT
);
"""
    )
    with closing(sqlite3.connect(":memory:")) as described:
        described.executescript(text)
        assert [*shape.of_sqlite(described)["things"].columns] == ["id", "size", "weight", "colour"]


def test_rebuilt_table_keeps_its_comment(tmp_path: Path) -> None:
    (tmp_path / "0001_start.sql").write_text("-- Things.\nCREATE TABLE things (\n    id TEXT PRIMARY KEY\n);\n")
    (tmp_path / "0002_rebuild.sql").write_text(
        "-- Things, by number.\nCREATE TABLE new_things (\n    id INTEGER PRIMARY KEY\n);\n"
        "DROP TABLE things;\nALTER TABLE new_things RENAME TO things;\n"
    )
    assert schema.describe(tmp_path).endswith(
        "\n-- Things, by number.\nCREATE TABLE things (\n    id INTEGER PRIMARY KEY\n);\n"
    )


def test_both_dialects_have_the_same_migrations() -> None:
    names = [[migration.name for migration in available(dialect)] for dialect in Dialect]
    assert names[0] == names[1]
    assert len({name[:4] for name in names[0]}) == len(names[0]), "two migrations have the same number"


def test_migration_that_stands_there_twice_is_refused(tmp_path: Path) -> None:
    (tmp_path / "0001_start.sql").write_text("SELECT 1;")
    (tmp_path / "0001_start.sqlite.sql").write_text("SELECT 1;")
    with pytest.raises(errors.StartupError, match="0001_start stands there twice"):
        available(Dialect.SQLITE, tmp_path)
    assert DIRECTORY.is_dir()
