"""Which of a list's filters lets few tracks through, asked of an index and no further than a bound.

SQLite plans without knowing that a list stops at its limit: it may sort half of a library for 50 rows, or walk all of
it for an artist with one track. So the filters that have an index are asked how many tracks they let through. Are there
few, the page is made of these; else the order's own index is walked until the page is full.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from server.db.database import Connection, Dialect
from server.db.sql import Where
from server.tracks.filters import RANGES, Filters
from server.tracks.fold import fold
from server.tracks.model import key_order

# More than these aren't worth sorting for a page.
FEW = 4_000
_EQUALS = ("artist", "genre", "title", "album", "label")
_TERMS = ("artist", "genre", "tag")
_RANGES = ("bpm", "year", "rating", "energy", "duration", "play_count")
_MOMENTS = {"added": "date_added", "last_played": "last_played"}
# Columns with an index named after them, which a list sorted by one of them walks.
WALKED = frozenset(
    (
        "title_fold", "artist_fold", "album_fold", "genre_fold", "label_fold", "year", "bpm", "key_order", "energy",
        "rating", "last_played", "play_count", "date_added", "duration_seconds",
    )
)  # fmt: skip


async def candidates(connection: Connection, filters: Where) -> list[int] | None:
    """`pk` of the tracks that the narrowest indexed filter lets through; None where each lets through many."""
    if connection.dialect is not Dialect.SQLITE or not isinstance(filters, Filters):
        return None
    for probe in _probes(filters.values):
        found = await connection.fetch_values(f"{probe.sql} LIMIT {FEW + 1}", probe.params)
        if len(found) <= FEW:
            return found
    return None


def _probes(values: Mapping[str, Any]) -> Sequence[Where]:
    found = []
    for name in (*_EQUALS, "tag"):
        if texts := [fold(text) for text in values.get(name) or ()]:
            # What folds to nothing is compared otherwise.
            found += [_equal(name, texts)] if all(texts) else []
    if values.get("duplicate_group_id"):
        found.append(_select("duplicate_group_id IN :values", {"values": list(values["duplicate_group_id"])}))
    if values.get("ids") is not None:
        found.append(_select("id IN :values", {"values": list(values["ids"])}))
    orders = {key_order(key) for key in values.get("camelot") or ()}
    orders |= {key_order(near) for key in values.get("compatible_with") or () for near in key.neighbours()}
    if orders:
        found.append(_select("key_order IN :values", {"values": sorted(orders)}))
    for name in _RANGES:
        found += _between(RANGES[name], values.get(f"{name}_min"), values.get(f"{name}_max"))
    for name, column in _MOMENTS.items():
        found += _between(column, values.get(f"{name}_after"), values.get(f"{name}_before"))
    return found


def _equal(name: str, texts: list[str]) -> Where:
    parts = []
    if name != "tag":
        parts.append(f"SELECT pk FROM tracks WHERE {name}_fold IN :values")
    if name in _TERMS:
        parts.append(f"SELECT track_pk FROM track_terms WHERE field = '{name}' AND term IN :values")
    return Where(" UNION ALL ".join(parts), {"values": texts})


def _between(column: str, low: float | None, high: float | None) -> list[Where]:
    """Both ends as one range; with its ends included, which the list's own filters judge again."""
    if low is None and high is None:
        return []
    bounds = {"low": low, "high": high}
    texts = {"low": f"{column} >= :low", "high": f"{column} <= :high"}
    given = {name: value for name, value in bounds.items() if value is not None}
    return [_select(" AND ".join(texts[name] for name in given), given)]


def _select(condition: str, params: Mapping[str, Any]) -> Where:
    return Where(f"SELECT pk FROM tracks WHERE {condition}", params)
