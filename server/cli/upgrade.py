"""`mismo migrate`."""

from __future__ import annotations

import argparse

from server.cli.lock import only_one
from server.cli.output import say
from server.config import Config
from server.db.migrate import migrate
from server.db.opening import open_database

NAME = "migrate"
HELP = "bring the database to this version (a backup is made first)"
EXAMPLE = "mismo migrate"


def arguments(_: argparse.ArgumentParser) -> None:
    """None of its own."""


async def run(config: Config, _: argparse.Namespace) -> int:
    with only_one(config):
        database = open_database(config)
        await database.open()
        try:
            applied = await migrate(database)
        finally:
            await database.close()
    say("\n".join(f"applied {name}" for name in applied) if applied else "the database is up to date")
    return 0
