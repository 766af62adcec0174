"""Which track a file is: the one whose file this was, by inode, by audio, or by its place; else a new one.

Pure: what is on disk was looked up before and comes in as data. Nothing depends on the order of files or folders,
because a track is free to be matched when the file that its row describes is not at its place any more, whatever is
there now.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field

from server import log
from server.db.database import Row
from server.metadata.model import MetadataSource
from server.scanning.reader import Outcome
from server.scanning.walk import Entry

logger = log.get(__name__)


@dataclass(slots=True)
class Matches:
    """`known`: outcome and the track it is, where it was; `moved`: the track lies here now; `new`: no track's file.

    `displaced`: tracks whose place a moved track has taken, and that were matched to no file themselves.
    """

    known: list[tuple[Outcome, Row]] = field(default_factory=list)
    moved: list[tuple[Outcome, Row]] = field(default_factory=list)
    new: list[Outcome] = field(default_factory=list)
    displaced: list[Row] = field(default_factory=list)


def match(
    library_directory_id: str,
    outcomes: Sequence[Outcome],
    at_place: Mapping[bytes, Sequence[Row]],
    free: Sequence[Row],
) -> Matches:
    """Decide for every file that was read. `at_place` holds the rows of its own path, a present one first; `free` the
    tracks whose file isn't where their row says.
    """
    matches = Matches()
    taken: set[int] = set()
    undecided: list[Outcome] = []
    for outcome in sorted(outcomes, key=lambda outcome: outcome.path):
        present = next((row for row in at_place.get(outcome.path, ()) if row["missing_since"] is None), None)
        if present is not None and outcome.read is not None and _same_inode(present) == _same_inode(outcome.read):
            # The very file the row describes, read again.
            taken.add(present["pk"])
            matches.known.append((outcome, present))
        else:
            undecided.append(outcome)
    for evidence in (_same_inode, _same_audio):
        undecided = _pair(library_directory_id, undecided, free, taken, evidence, matches)
    for outcome in undecided:
        here = [row for row in at_place.get(outcome.path, ()) if row["pk"] not in taken]
        if here:
            taken.add(here[0]["pk"])
            matches.known.append((outcome, here[0]))
        else:
            matches.new.append(outcome)
    for outcome, track in (*matches.moved, *matches.known):
        for row in at_place.get(outcome.path, ()):
            if row["missing_since"] is None and row["pk"] != track["pk"] and row["pk"] not in taken:
                matches.displaced.append(row)
    return matches


def stale(library_directory_id: str, outcomes: Sequence[Outcome], free: Sequence[Row]) -> set[bytes]:
    """Paths whose file was read as the one that their row describes, while a later look has shown it isn't there.

    It was moved in between, and may be read at its new place in the same run; which of the two is true is known.
    """
    left = {
        (bytes(row["path"]), _same_inode(row))
        for row in free
        if row["library_directory_id"] == library_directory_id and row["missing_since"] is None
    }
    return {
        outcome.path
        for outcome in outcomes
        if outcome.read is not None and (outcome.path, _same_inode(outcome.read)) in left
    }


def recognise(
    entries: Sequence[Entry], free: Sequence[Row], taken: Container[bytes]
) -> tuple[list[tuple[Entry, Row]], list[Entry]]:
    """Free tracks whose very file lies under another path now, and the entries for which there is none.

    A file that takes the place of a present track (`taken`) is left to be read and matched with all others. So is one
    whose title comes from its old name.
    """
    by_file: dict[object, list[Row]] = {}
    for row in sorted(free, key=lambda row: int(row["pk"])):
        by_file.setdefault(_same_inode(row), []).append(row)
    pairs: list[tuple[Entry, Row]] = []
    rest: list[Entry] = []
    for entry in entries:
        found = by_file.get((entry.device, entry.inode, entry.size, entry.mtime_ns), [])
        name = os.path.basename(entry.path)
        fitting = [
            row
            for row in found
            if row["metadata_source"] != MetadataSource.FILENAME or os.path.basename(bytes(row["path"])) == name
        ]
        if not fitting or entry.path in taken:
            rest.append(entry)
            continue
        # Of several rows of one file (hard links that went), the one of the same name goes on.
        best = min(fitting, key=lambda row: (os.path.basename(bytes(row["path"])) != name, row["pk"]))
        found.remove(best)
        pairs.append((entry, best))
    return pairs, rest


def _pair(
    library_directory_id: str,
    outcomes: Sequence[Outcome],
    free: Sequence[Row],
    taken: set[int],
    evidence: Callable[[Mapping[str, object] | Row], object],
    matches: Matches,
) -> list[Outcome]:
    """Give each file the best free track that the evidence speaks for; returns the files that got none."""
    by_key: dict[object, list[Row]] = {}
    for row in free:
        by_key.setdefault(evidence(row), []).append(row)
    pairs = [
        (_likeness(library_directory_id, outcome, row), outcome, row)
        for outcome in outcomes
        if outcome.read is not None and (key := evidence(outcome.read)) is not None
        for row in by_key.get(key, ())
    ]
    # Best first; the rest of the key makes the choice among equals the same every time.
    pairs.sort(key=lambda pair: (tuple(-value for value in pair[0]), pair[1].path, pair[2]["pk"]))
    matched: dict[bytes, tuple[int, ...]] = {}
    for likeness, outcome, row in pairs:
        if row["pk"] in taken:
            continue
        if outcome.path in matched:
            if matched[outcome.path] == likeness:
                logger.info("several tracks fit a file equally", path=os.fsdecode(outcome.path), not_chosen=row["id"])
            continue
        matched[outcome.path] = likeness
        taken.add(row["pk"])
        is_here = row["library_directory_id"] == library_directory_id and bytes(row["path"]) == outcome.path
        (matches.known if is_here else matches.moved).append((outcome, row))
    return [outcome for outcome in outcomes if outcome.path not in matched]


def _same_inode(values: Mapping[str, object] | Row) -> object:
    """Inodes are given out again, so size and time of change must agree too."""
    return values["file_device"], values["file_inode"], values["file_size"], values["file_mtime_ns"]


def _same_audio(values: Mapping[str, object] | Row) -> object:
    return values["audio_hash"]


def _likeness(library_directory_id: str, outcome: Outcome, row: Row) -> tuple[int, ...]:
    """How much a free track is like a file, most telling first: its place, name, folder, tags."""
    assert outcome.read is not None
    path = bytes(row["path"])
    same_directory = row["library_directory_id"] == library_directory_id
    return (
        int(same_directory and path == outcome.path),
        int(os.path.basename(path) == os.path.basename(outcome.path)),
        int(same_directory and os.path.dirname(path) == os.path.dirname(outcome.path)),
        sum(row[name] == outcome.read[name] for name in ("title", "artist", "album")),
        int(same_directory),
    )
