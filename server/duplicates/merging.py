"""What the kept copy takes over from the others: it is filled up, never overwritten. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from server.tracks import corrections, model
from server.tracks.model import Values

_FILLED = ("color_tag", "user_energy_level", "user_bpm", "user_key")
_NUMBERS = ("play_count",)


def merged(canonical: Mapping[str, Any], copies: Sequence[Mapping[str, Any]]) -> Values:
    """Columns of the canonical track that change; `copies` in the order of their rank.

    Tags that the file lacks become corrections in the library, which no scan takes away again.
    """
    values = _tags(canonical, copies)
    for name in _FILLED:
        if canonical[name] is None:
            values[name] = next((copy[name] for copy in copies if copy[name] is not None), None)
    if canonical["user_rating"] is None:
        highest = max((copy["rating"] for copy in copies if copy["rating"] is not None), default=None)
        if highest is not None and highest > (canonical["rating"] or 0):
            values["user_rating"] = highest
    everyone = [canonical, *copies]
    values["play_count"] = sum(row["play_count"] for row in everyone)
    values["date_added"] = min(row["date_added"] for row in everyone)
    values["last_played"] = max(
        (row["last_played"] for row in everyone if row["last_played"] is not None), default=None
    )
    values["is_favorite"] = max(row["is_favorite"] for row in everyone)
    tags = dict.fromkeys(tag for row in everyone for tag in orjson.loads(row["tags"]))
    values["tags"] = orjson.dumps(list(tags)).decode()
    return {name: value for name, value in values.items() if value != canonical[name]}


def _tags(canonical: Mapping[str, Any], copies: Sequence[Mapping[str, Any]]) -> Values:
    lacking = {}
    for name in model.EDITABLE_TAGS:
        if canonical[name] not in (None, "", "[]", 0) or _is_corrected(canonical, name):
            continue
        value = next((copy[name] for copy in copies if copy[name] not in (None, "", "[]", 0)), None)
        if value is not None:
            lacking[name] = orjson.loads(value) if name in model.LISTS else value
    return corrections.override(canonical, lacking) if lacking else {}


def _is_corrected(row: Mapping[str, Any], name: str) -> bool:
    """Whether a user has said what the tag is to be, be it nothing."""
    return bool(row["overrides"]) and name in orjson.loads(row["overrides"])


def taken_back(row: Mapping[str, Any], before: Mapping[str, Any], after: Mapping[str, Any]) -> Values:
    """The columns that take a merge back; what was changed since stays, plays counted since are kept."""
    values: Values = {}
    for name, old in before.items():
        if row[name] == after[name]:
            values[name] = old
        elif name in _NUMBERS:
            values[name] = max(0, row[name] - (after[name] - old))
    return values
