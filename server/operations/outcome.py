"""What a job that is over means for the rows of its tracks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from server.db.database import Row
from server.db.uow import Transaction
from server.events.model import Event
from server.operations.model import Facts, Kind, Operation, Place
from server.operations.planning import Known
from server.tracks.keeping import Move
from server.tracks.model import FileFacts, Values
from server.tracks.service import TrackService

Tx = Transaction[Event]


def known_of(row: Row) -> Known:
    """What a track's row says of its file."""
    place = Place(row["library_directory_id"], bytes(row["path"]))
    return Known(row["id"], place, Facts(row["file_size"], row["file_mtime_ns"], row["file_inode"]))


async def settle(
    tracks: TrackService,
    tx: Tx,
    operations: Sequence[Operation],
    arrived: Mapping[str, FileFacts | None],
    undone: Mapping[str, Operation],
    now: int,
) -> None:
    """Make the tracks of done operations agree with the disk: one `track:moved` for all that moved.

    A deleted file's track is missing from `now` on and keeps its id; taking the deletion back restores it. What a scan
    has found out by itself meanwhile isn't announced again.
    """
    known = await tracks.by_ids(tx, [operation.track_id for operation in operations])
    rows = {row["id"]: row for row in known}
    gone: list[int] = []
    moves: list[Move] = []
    found: list[tuple[Row, Values]] = []
    for operation in operations:
        row, facts = rows.get(operation.track_id), arrived[operation.id]
        if row is None:
            continue
        original = undone.get(operation.id)
        if operation.kind is Kind.DELETE:
            gone.append(row["pk"])
            continue
        place = operation.target
        assert place is not None
        if facts is None:
            continue  # somebody took it away in the very moment; the next scan says so
        is_back = original is not None and original.kind is Kind.DELETE
        if is_back or place == Place(row["library_directory_id"], bytes(row["path"])):
            found.append((row, _file_columns(facts)))
        else:
            moves.append(Move(row, place.library_directory_id, place.path, _file_columns(facts)))
    await _clear_places(tracks, tx, [(move.row["pk"], move.library_directory_id, move.path) for move in moves])
    await _clear_places(tracks, tx, [(row["pk"], row["library_directory_id"], bytes(row["path"])) for row, _ in found])
    await tracks.mark_missing(tx, gone, now)
    await tracks.relocate(tx, moves)
    await tracks.take_in(tx, found)


async def refresh(tracks: TrackService, tx: Tx, returned: Mapping[str, FileFacts]) -> None:
    """Files that came back to where they were, but as a copy: their tracks are to recognise them. Track id → facts."""
    rows = await tracks.by_ids(tx, list(returned))
    await tracks.take_in(
        tx, [(row, _file_columns(returned[row["id"]])) for row in rows if row["missing_since"] is None]
    )


async def _clear_places(tracks: TrackService, tx: Tx, places: Sequence[tuple[int, str, bytes]]) -> None:
    """Tracks that are thought to lie where a file has arrived are missing: it was free on the disk."""
    arriving = {pk for pk, _, _ in places}
    by_directory: dict[str, list[bytes]] = {}
    for _, directory_id, path in places:
        by_directory.setdefault(directory_id, []).append(path)
    for directory_id, paths in by_directory.items():
        rows = await tracks.by_paths(tx, directory_id, paths)
        displaced = [row["pk"] for row in rows if row["pk"] not in arriving and row["missing_since"] is None]
        await tracks.mark_missing(tx, displaced)


def _file_columns(facts: FileFacts) -> Values:
    return {
        "file_size": facts.size,
        "file_mtime_ns": facts.mtime_ns,
        "file_inode": facts.inode,
        "file_device": facts.device,
    }
