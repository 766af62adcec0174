"""Ranks: the sparse numbers that order a playlist's entries, so that moving one entry changes one row."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

GAP = 1 << 32
# Ranks stay within 64 bits with room to spare; a list that would leave these bounds is numbered afresh.
_BOUND = 1 << 62


def between(before: int | None, after: int | None) -> int | None:
    """A rank between two neighbours (None: there is none on that side); None when there is no room left."""
    if before is None and after is None:
        return 0
    if before is None:
        assert after is not None
        rank = after - GAP
    elif after is None:
        rank = before + GAP
    else:
        rank = (before + after) // 2
        return rank if before < rank < after else None
    return rank if -_BOUND < rank < _BOUND else None


def spread(count: int, before: int | None, after: int | None) -> list[int] | None:
    """`count` ranks, evenly between two neighbours; None when there is no room for them."""
    if before is None and after is None:
        return [index * GAP for index in range(count)]
    if after is None:
        assert before is not None
        ranks = [before + (index + 1) * GAP for index in range(count)]
    elif before is None:
        ranks = [after - (count - index) * GAP for index in range(count)]
    else:
        step, room = (after - before) // (count + 1), after - before - 1
        if room < count:
            return None
        step = max(step, 1)
        ranks = [before + (index + 1) * step for index in range(count)]
    return ranks if not ranks or (ranks[0] > -_BOUND and ranks[-1] < _BOUND) else None


def plan(ranks: Sequence[int | None]) -> dict[int, int]:
    """New ranks for a list whose items stand in the wanted order; index → rank, for those that need another one.

    An item is given as the rank it has, or None when it is new. As many items as possible keep theirs: the longest
    run of ranks that ascends already. The others are put between them; without room, all are numbered afresh.
    """
    kept = _ascending(ranks)
    changed: dict[int, int] = {}
    start = 0
    for stop in [*kept, len(ranks)]:
        if stop > start:
            before = ranks[start - 1] if start else None
            after = ranks[stop] if stop < len(ranks) else None
            given = spread(stop - start, before, after)
            if given is None:
                return dict(enumerate(index * GAP for index in range(len(ranks))))
            changed.update(zip(range(start, stop), given, strict=True))
        start = stop + 1
    return changed


def _ascending(ranks: Sequence[int | None]) -> list[int]:
    """The indexes of a longest strictly ascending subsequence, by patience sorting (Fredman 1975)."""
    tops: list[int] = []
    piles: list[int] = []
    previous: list[int] = [-1] * len(ranks)
    for index, rank in enumerate(ranks):
        if rank is None:
            continue
        pile = bisect_left(tops, rank)
        if pile == len(tops):
            tops.append(rank)
            piles.append(index)
        else:
            tops[pile] = rank
            piles[pile] = index
        previous[index] = piles[pile - 1] if pile else -1
    found: list[int] = []
    index = piles[-1] if piles else -1
    while index >= 0:
        found.append(index)
        index = previous[index]
    return found[::-1]
