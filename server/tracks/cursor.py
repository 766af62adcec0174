"""The cursor of a track list: whose it is, how many tracks the list had, and the row that the last page ended with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson
import xxhash

from server import errors
from server.api.paging import decode_cursor, encode_cursor
from server.db.sql import Where
from server.tracks.listing import Order, SortKey

_LARGEST = 2**63
_REAL = {"bpm", "duration_seconds", "energy", "danceability", "valence", "loudness"}
_TEXT = {"format", "relative_path"}


@dataclass(frozen=True, slots=True)
class Position:
    """Where a list goes on: `after` holds the sort values and the `pk` of the last row; `total` as first counted."""

    total: int
    after: list[Any]


def encode(position: Position, filters: Where, order: Order) -> str:
    return encode_cursor([_list_of(filters, order), position.total, position.after])


def decode(cursor: str, filters: Where, order: Order) -> Position:
    """The position in a cursor; raises `Invalid` for one that no answer of this list has given.

    Whoever changes a position by hand gets another place in the same list, and never a failure further down.
    """
    match decode_cursor(cursor):
        case [str(of_list), int(total), [*after, int(pk)]] if _is_whole(total) and total >= 0 and _is_whole(pk):
            if of_list != _list_of(filters, order):
                raise errors.Invalid.field("cursor", "belongs to a list with another sort or filter")
            if len(after) == len(order.keys) and all(map(_fits, order.keys, after)):
                return Position(total, [*after, pk])
    raise errors.Invalid.field("cursor", "isn't one that an answer gave")


def _list_of(filters: Where, order: Order) -> str:
    parts = [order.signature, filters.sql, sorted(filters.params.items())]
    return xxhash.xxh3_64_hexdigest(orjson.dumps(parts, default=repr))


def _fits(key: SortKey, value: Any) -> bool:
    if value is None:
        return key.is_nullable
    if key.column.endswith("_fold") or key.column in _TEXT:
        return isinstance(value, str) and "\0" not in value
    return _is_whole(value) or (key.column in _REAL and isinstance(value, float))


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and -_LARGEST <= value < _LARGEST
