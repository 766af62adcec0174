"""A recording that was copied first and deleted afterwards has moved, as it does between drives.

While both files were there, the new one rightly became a track of its own. When the old file has gone, the old track
goes on at the new place, if nobody has done anything with the new track yet; that one stays behind as the missing one.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Collection, Sequence

from server.db.database import Connection, Database, Row
from server.filesystem import FileSystem
from server.libraries.service import LibraryService
from server.scanning import place
from server.tracks.service import TrackService

InUse = Callable[[Connection, Sequence[str]], Awaitable[set[str]]]


async def successors(
    rows: Sequence[Row], database: Database, tracks: TrackService, libraries: LibraryService, files: FileSystem
) -> list[Row]:
    """Present tracks with the audio of one of some rows, whose file is really there (looked up on disk)."""
    hashes = sorted({row["audio_hash"] for row in rows if row["audio_hash"]})
    going = {row["pk"] for row in rows}
    found = [row for row in await tracks.like(database.direct, hashes, []) if row["pk"] not in going]
    found = [row for row in found if row["missing_since"] is None]
    there: list[Row] = []
    for directory in await libraries.all() if found else ():
        own = [row for row in found if row["library_directory_id"] == directory.id]
        if not own or not directory.is_available:
            continue
        try:
            there += await files.call_at(directory.path, place.there, directory, own)
        except OSError:
            continue
    return there


def pairs(going: Sequence[Row], present: Sequence[Row], in_use: Collection[str]) -> list[tuple[Row, Row]]:
    """Each track whose file has gone, with the newer, unused one whose place it takes. Pure; the same every time."""

    def is_used(row: Row) -> bool:
        return row["id"] in in_use or is_marked(row)

    taken: set[int] = set()
    chosen = []
    # What somebody has worked with comes first, then the oldest.
    for old in sorted(going, key=lambda row: (not is_used(row), row["pk"])):
        fitting = [
            new
            for new in present
            if new["audio_hash"] == old["audio_hash"] is not None
            and new["pk"] > old["pk"]
            and new["pk"] not in taken
            and not is_used(new)
        ]
        if fitting:
            best = min(fitting, key=lambda new: (_name(new) != _name(old), new["pk"]))
            taken.add(best["pk"])
            chosen.append((old, best))
    return chosen


def is_marked(row: Row) -> bool:
    """Whether somebody has rated, corrected, tagged or played a track."""
    user = ("user_bpm", "user_key", "user_rating", "user_energy_level", "color_tag", "overrides", "last_played")
    if any(row[name] is not None for name in user):
        return True
    return bool(row["is_favorite"] or row["play_count"] or row["tags"] != "[]")


def _name(row: Row) -> bytes:
    return os.path.basename(bytes(row["path"]))


async def none_in_use(_: Connection, __: Sequence[str]) -> set[str]:
    return set()
