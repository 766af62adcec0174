"""A recording that was copied first and deleted afterwards has moved, as it does between drives.

While both files were there, the new one rightly became a track of its own. When the old file has gone, the old track
goes on at the new place, if nobody has done anything with the new track yet; that one stays behind as the missing one.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass

from server.db.database import Connection, Row, as_dict
from server.scanning import place
from server.scanning.intake import Tools, Tx
from server.tracks import model

InUse = Callable[[Connection, Sequence[str]], Awaitable[set[str]]]
Deletions = Callable[[Connection, Sequence[str]], Awaitable[set[tuple[str, int]]]]
InFlight = Callable[[Connection], Awaitable[Collection[tuple[str, bytes]]]]


async def _nothing(_: Connection, __: Sequence[str]) -> set[str]:
    return set()


async def _no_deletions(_: Connection, __: Sequence[str]) -> set[tuple[str, int]]:
    return set()


async def _none_in_flight(_: Connection) -> Collection[tuple[str, bytes]]:
    return ()


@dataclass(slots=True)
class People:
    """What people did with tracks and files, as other domains know it.

    `in_use` says which of some tracks are in a playlist or have cues that somebody set; `deletions`, which of them
    somebody has had deleted, and when (id and Unix milliseconds); `in_flight`, which places (library directory and
    path) Mismo itself moves files from and to just now: what a scan sees there meanwhile is no news.
    """

    in_use: InUse = _nothing
    deletions: Deletions = _no_deletions
    in_flight: InFlight = _none_in_flight


async def alike(rows: Sequence[Row], tools: Tools) -> list[Row]:
    """Present tracks, others than some rows, with the audio of one of them."""
    hashes = sorted({row["audio_hash"] for row in rows if row["audio_hash"]})
    own = {row["pk"] for row in rows}
    found = await tools.tracks.by_hashes(tools.database.direct, hashes) if hashes else []
    return [row for row in found if row["pk"] not in own and row["missing_since"] is None]


async def successors(rows: Sequence[Row], tools: Tools) -> list[Row]:
    """The same, of those whose file is really there (looked up on disk)."""
    return await there(await alike(rows, tools), tools)


async def there(rows: Sequence[Row], tools: Tools) -> list[Row]:
    """Those of some rows whose very file lies where they say, as far as it can be looked up."""
    found: list[Row] = []
    for directory in await tools.libraries.all() if rows else ():
        own = [row for row in rows if row["library_directory_id"] == directory.id]
        if not own or not directory.is_available:
            continue
        try:
            found += await tools.file_system.call_at(directory.path, place.there, directory, own)
        except OSError:
            continue
    return found


async def hand_over(tx: Tx, tools: Tools, going: Sequence[Row], present: Sequence[Row], people: People) -> set[int]:
    """Let tracks go on where a newer file with their audio lies; returns the row numbers of those that could.

    `going` are rows as they are in the transaction, `present` what `successors` has found.
    """
    if not going or not present:
        return set()
    seen = {row["pk"]: place.of(row) for row in present}
    in_flight = await people.in_flight(tx)
    still = [
        row
        for row in await tools.tracks.by_pks(tx, list(seen))
        if row["missing_since"] is None
        and place.of(row) == seen[row["pk"]]
        and (row["library_directory_id"], bytes(row["path"])) not in in_flight
    ]
    in_use = await people.in_use(tx, [row["id"] for row in (*going, *still)])
    chosen = pairs(going, still, in_use)
    await tools.tracks.hand_over(tx, chosen)
    return {old["pk"] for old, _ in chosen}


def pairs(going: Sequence[Row], present: Sequence[Row], in_use: Collection[str]) -> list[tuple[Row, Row]]:
    """Each track whose file has gone, with the newer, unused one whose place it takes. Pure; the same every time."""

    def is_used(row: Row) -> bool:
        return row["id"] in in_use or model.is_marked(as_dict(row))

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


def _name(row: Row) -> bytes:
    return os.path.basename(bytes(row["path"]))
