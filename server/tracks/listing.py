"""Sorting and paging over `tracks`: every page of a list is a few index ranges, however deep it lies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from server.db.sql import EVERYTHING, Where

# Name in the API → column, and whether the column may be NULL. What is missing comes last, in either direction.
SORTABLE: dict[str, tuple[str, bool]] = {
    "title": ("title_fold", True),
    "artist": ("artist_fold", True),
    "album": ("album_fold", True),
    "album_artist": ("album_artist_fold", True),
    "genre": ("genre_fold", True),
    "label": ("label_fold", True),
    "composer": ("composer_fold", True),
    "remixer": ("remixer_fold", True),
    "year": ("year", True),
    "track_number": ("track_number", True),
    "disc_number": ("disc_number", True),
    "bpm": ("bpm", True),
    "key": ("key_order", True),
    "duration": ("duration_seconds", True),
    "duration_seconds": ("duration_seconds", True),
    "bit_rate": ("bit_rate", True),
    "energy": ("energy", True),
    "danceability": ("danceability", True),
    "valence": ("valence", True),
    "loudness": ("loudness", True),
    "rating": ("rating", True),
    "energy_level": ("energy_level", True),
    "play_count": ("play_count", False),
    "last_played": ("last_played", True),
    "date_added": ("date_added", False),
    "updated_at": ("updated_at", False),
    "file_name": ("file_name_fold", False),
    "file_size": ("file_size", False),
    "format": ("format", False),
    "relative_path": ("relative_path", False),
}


@dataclass(frozen=True, slots=True)
class SortKey:
    column: str
    is_descending: bool
    is_nullable: bool

    @property
    def order(self) -> str:
        direction = "DESC" if self.is_descending else "ASC"
        nulls = f"({self.column} IS NULL), " if self.is_nullable else ""
        return f"{nulls}{self.column} {direction}"


@dataclass(frozen=True, slots=True)
class Order:
    """Sort keys, then `pk` in the direction of the first, which makes the order total and one index range."""

    keys: tuple[SortKey, ...]

    @property
    def is_descending(self) -> bool:
        return bool(self.keys) and self.keys[0].is_descending

    @property
    def signature(self) -> list[str]:
        """What tells this order from others."""
        return [f"{'-' if key.is_descending else ''}{key.column}" for key in self.keys]

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(key.column for key in self.keys)


def parse_sort(names: Sequence[str], default_direction: str = "asc") -> Order:
    """`["-bpm", "title"]` → an order. `default_direction` holds for names without a sign (`sort=bpm&order=desc`)."""
    keys: dict[str, SortKey] = {}
    if not names and default_direction == "desc":
        names = ["date_added"]  # without a sort, tracks stand in the order in which they came
    for name in names:
        plain = name.removeprefix("-")
        column, is_nullable = SORTABLE[plain]
        is_descending = name.startswith("-") or (default_direction == "desc")
        keys.setdefault(column, SortKey(column, is_descending, is_nullable))
    return Order(tuple(keys.values()))


@dataclass(frozen=True, slots=True)
class Segment:
    """A condition that together with the order's remaining keys is a range: its rows come before the next segment's.

    `is_first_present`: the condition leaves no NULL in the first remaining key, so that an index alone gives the order.
    """

    where: Where
    remaining: tuple[SortKey, ...]
    is_first_present: bool = False


def segments(order: Order, after: Sequence[Any] | None) -> list[Segment]:
    """The ranges of a list, in order: all of it, or what comes after the row whose sort values and `pk` are given.

    Keyset paging as one range for each "equal so far, then after": `a = :x AND pk > :p`, then `a > :x`, then
    `a IS NULL`. Each is sought in an index, which one condition with OR wouldn't be.
    """
    if after is None:
        return _whole(EVERYTHING, order.keys)
    comparison = "<" if order.is_descending else ">"
    equal = _equal_all(order.keys, after)
    found = [Segment(equal & Where(f"pk {comparison} :after_pk", {"after_pk": after[-1]}), ())]
    for depth in range(len(order.keys) - 1, -1, -1):
        key, value = order.keys[depth], after[depth]
        prefix = _equal_all(order.keys[:depth], after)
        rest = order.keys[depth + 1 :]
        if value is not None:
            beyond = Where(
                f"{key.column} {'<' if key.is_descending else '>'} :after_{depth}", {f"after_{depth}": value}
            )
            found.append(Segment(prefix & beyond, (key, *rest), is_first_present=True))
            if key.is_nullable:
                found += _whole(prefix & Where(f"{key.column} IS NULL"), rest)
    return found


def _whole(where: Where, keys: tuple[SortKey, ...]) -> list[Segment]:
    """All rows under a condition, those that lack the first key in ranges of their own."""
    if not keys or not keys[0].is_nullable:
        return [Segment(where, keys, is_first_present=True)]
    first = keys[0].column
    present = Segment(where & Where(f"{first} IS NOT NULL"), keys, is_first_present=True)
    return [present, *_whole(where & Where(f"{first} IS NULL"), keys[1:])]


def _equal_all(keys: Sequence[SortKey], values: Sequence[Any]) -> Where:
    result = Where("")
    for depth, (key, value) in enumerate(zip(keys, values, strict=False)):
        if value is None:
            result = result & Where(f"{key.column} IS NULL")
        else:
            result = result & Where(f"{key.column} = :after_{depth}", {f"after_{depth}": value})
    return result


def segment_query(where: Where, order: Order, segment: Segment, limit: int, offset: int = 0, hint: str = "") -> Where:
    """A query for rows of one segment: `pk`, `missing_since`, `library_directory_id`, the sort values and the JSON.

    The inner select finds the rows by index (`hint` says by which) and stops at the limit; only for these the resources
    are looked up.
    """
    columns = "".join(f", {column}" for column in order.columns)
    keys = [
        _direction(key) if index == 0 and segment.is_first_present else key.order
        for index, key in enumerate(segment.remaining)
    ]
    sort = ", ".join([*keys, f"pk {'DESC' if order.is_descending else 'ASC'}"])
    condition = where & segment.where
    skip = f" OFFSET {int(offset)}" if offset else ""
    return Where(
        "SELECT page.*, (SELECT json FROM track_resources r WHERE r.track_pk = page.pk) AS json"
        f" FROM (SELECT pk, missing_since, library_directory_id{columns} FROM tracks{hint}{condition.clause()}"
        f" ORDER BY {sort} LIMIT :limit{skip}) AS page ORDER BY {sort}",
        {**condition.params, "limit": limit},
    )


def _direction(key: SortKey) -> str:
    return f"{key.column} {'DESC' if key.is_descending else 'ASC'}"
