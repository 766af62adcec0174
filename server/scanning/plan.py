"""What a scan has to do, as data: the listing of the disk held against the rows of the library. No I/O in here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from operator import itemgetter

from server.db.database import Row
from server.scanning.model import Strategy
from server.scanning.walk import Entry
from server.tracks.model import HashState


@dataclass(slots=True)
class Plan:
    """`to_read`: files that are new or differ. `found_again`: missing tracks whose file is back as it was.

    `unseen`: present tracks whose file wasn't in the listing. Both by row number.
    """

    to_read: list[Entry] = field(default_factory=list)
    found_again: list[int] = field(default_factory=list)
    unseen: list[int] = field(default_factory=list)
    unchanged: int = 0


def compare(
    entries: Sequence[Entry],
    rows: Sequence[Row],
    strategy: Strategy,
    unknown: Sequence[bytes] = (),
    *,
    has_stable_inodes: bool = True,
) -> Plan:
    """Compare a run of the listing with the rows of the same stretch of paths; both in the order of their paths.

    Of several rows of one path at most one is present; the others are missing tracks that were last seen there.
    `unknown` are folders that couldn't be read: nothing is said about what lies in them. Without stable inodes a file
    is known by its size and time of change alone.
    """
    plan = Plan()
    if strategy is not Strategy.FULL and _is_all_as_known(entries, rows, has_stable_inodes=has_stable_inodes):
        plan.unchanged = len(entries)
        return plan
    remaining = _by_path(rows)
    path, known = next(remaining, (None, []))
    for entry in entries:
        while path is not None and path < entry.path:
            _unseen(plan, path, known, unknown)
            path, known = next(remaining, (None, []))
        if path == entry.path:
            _seen(plan, entry, known, strategy, has_stable_inodes=has_stable_inodes)
            path, known = next(remaining, (None, []))
        else:
            plan.to_read.append(entry)
    while path is not None:
        _unseen(plan, path, known, unknown)
        path, known = next(remaining, (None, []))
    return plan


# Path, size and time of change, and where it means something the inode: of an entry and, in the same places, of a row.
# A row goes on with its `hash_state` and `missing_since`. A position is found quicker than a name.
_FACTS, _FACTS_WITHOUT_INODE = itemgetter(0, 1, 2, 3), itemgetter(0, 1, 2)
_STATE = itemgetter(4, 5)


def _is_all_as_known(entries: Sequence[Entry], rows: Sequence[Row], *, has_stable_inodes: bool) -> bool:
    """Whether nothing is new, changed, missing or unhashed: the usual case, told without a step for each file."""
    if len(entries) != len(rows):
        return False
    facts = _FACTS if has_stable_inodes else _FACTS_WITHOUT_INODE
    if list(map(facts, entries)) != list(map(facts, rows)):
        return False
    # Few kinds of rows, so that they are judged once for each kind.
    return all(missing is None and state != HashState.PENDING for state, missing in set(map(_STATE, rows)))


def _by_path(rows: Sequence[Row]) -> Iterator[tuple[bytes | None, list[Row]]]:
    group: list[Row] = []
    current: bytes | None = None
    for row in rows:
        path = row["path"]
        if path != current and group:
            yield current, group
            group = []
        current = path
        group.append(row)
    if group:
        yield current, group


def _seen(plan: Plan, entry: Entry, known: Sequence[Row], strategy: Strategy, *, has_stable_inodes: bool) -> None:
    for row in known:
        if is_same_file(row, entry, has_stable_inodes=has_stable_inodes) and strategy is not Strategy.FULL:
            if row["missing_since"] is None:
                # A hybrid scan hashes what a fast one left unhashed.
                if row["hash_state"] == HashState.PENDING and strategy is Strategy.HYBRID:
                    break
                plan.unchanged += 1
                return
            if all(other["missing_since"] is not None for other in known):
                plan.found_again.append(row["pk"])
                return
    plan.to_read.append(entry)


def is_same_file(row: Row, entry: Entry, *, has_stable_inodes: bool = True) -> bool:
    """Whether a file is what the row says: same size, same time of change, same inode.

    The device isn't compared: its number changes from one mount to the next.
    """
    if (row["file_mtime_ns"], row["file_size"]) != (entry.mtime_ns, entry.size):
        return False
    return not has_stable_inodes or bool(row["file_inode"] == entry.inode)


def _unseen(plan: Plan, path: bytes, known: Sequence[Row], unknown: Sequence[bytes]) -> None:
    if any(path.startswith(folder) for folder in unknown):
        return
    plan.unseen += [row["pk"] for row in known if row["missing_since"] is None]
