"""`mismo backup`."""

from __future__ import annotations

import argparse
import asyncio
import os
from pathlib import Path

from server import errors
from server.cli.opened import existing
from server.cli.output import say
from server.config import Config

NAME = "backup"
HELP = "write a copy of the whole database to a file, also while the server runs"
EXAMPLE = "mismo backup ~/mismo-2026-11-20.db"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, help="the file to write; it must not exist")


async def run(config: Config, given: argparse.Namespace) -> int:
    target: Path = given.file.expanduser().absolute()
    unfinished = target.with_name(target.name + ".part")
    await asyncio.to_thread(_check, target)
    async with existing(config) as database:
        try:
            await database.backup(str(unfinished))
            size = await asyncio.to_thread(_finish, unfinished, target)
        finally:
            await asyncio.to_thread(unfinished.unlink, missing_ok=True)
    say(f"{target}: {size} bytes")
    return 0


def _check(target: Path) -> None:
    if os.path.lexists(target):
        raise errors.StartupError(f"{target} exists already")
    if not os.access(target.parent, os.W_OK | os.X_OK):
        raise errors.StartupError(f"can't write to {target.parent}")


def _finish(unfinished: Path, target: Path) -> int:
    """Give the copy its name once it is whole and on the disk: a half one never looks like a backup."""
    with unfinished.open("rb") as file:
        os.fsync(file.fileno())
    os.link(unfinished, target)  # unlike a rename it fails when somebody else made the file meanwhile
    return target.stat().st_size
