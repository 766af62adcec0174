"""The backup of a cleanup: one JSON file that holds all that goes with its tracks."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import orjson

from server import errors
from server.clock import to_rfc3339
from server.db.database import Row, as_dict
from server.db.uow import Transaction
from server.events.model import Event

# Format 1 held the tracks alone.
FORMAT = 2
_NAME = re.compile(r"cleanup-[0-9a-z-]+\.json")
Tx = Transaction[Event]
Values = dict[str, Any]


class Belongings(Protocol):
    """What a domain keeps of tracks: gone with them, and back with them."""

    async def belongings(self, tx: Tx, track_ids: Sequence[str]) -> list[Values]:
        """JSON-ready, each with its `track_id`."""

    async def give_back(self, tx: Tx, belongings: Sequence[Mapping[str, Any]]) -> int:
        """Put them back as they were, as far as they aren't there; returns how many."""


def write(
    folder: Path,
    now: int,
    directory_id: str,
    root: bytes,
    rows: Sequence[Row],
    belongings: Mapping[str, Sequence[Values]],
) -> str:
    """Write and sync a backup (blocking); returns its name."""
    document = {
        "format": FORMAT,
        "made_at": to_rfc3339(now),
        "library_directory_id": directory_id,
        "root": root.decode("utf-8", "replace"),
        "tracks": [{**as_dict(row), "path": bytes(row["path"]).hex()} for row in rows],
        "belongings": belongings,
    }
    name = f"cleanup-{now}-{directory_id}.json"
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f".{name}.part"
    with temporary.open("wb") as file:
        file.write(orjson.dumps(document, option=orjson.OPT_INDENT_2))
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(folder / name)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return name


def read(folder: Path, name: str, directory_id: str) -> tuple[list[Values], dict[str, list[Values]]]:
    """The tracks of a backup, and their belongings (blocking). Raises `Invalid`."""
    if not _NAME.fullmatch(name):
        raise errors.Invalid.field("backup", "isn't the name of a backup that a cleanup made")
    try:
        document = orjson.loads((folder / name).read_bytes())
    except FileNotFoundError:
        raise errors.Invalid.field("backup", "there is no such backup") from None
    except orjson.JSONDecodeError:
        raise errors.Invalid.field("backup", "isn't a whole backup") from None
    if document.get("format") not in (1, FORMAT) or document.get("library_directory_id") != directory_id:
        raise errors.Invalid.field("backup", "belongs to another library directory, or another version")
    tracks = [{**row, "path": bytes.fromhex(row["path"])} for row in document["tracks"]]
    return tracks, document.get("belongings", {})
