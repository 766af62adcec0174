"""What a user corrects in the library: it stays over what the file says, and null takes it back. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from server.metadata import date as dates
from server.tracks import model
from server.tracks.model import Values

# A track is known by these; when a user gave one, `metadata_source` says so.
NAMING = {"title", "artist"}


def override(row: Mapping[str, Any], edits: Mapping[str, Any]) -> Values:
    """The columns that change when a user corrects tags or beats; None takes the file's or analysis's own value back.

    `overrides` keeps, for each corrected field, the file's value: `{"title": {"file": "Tilte"}}`. A field that says the
    same as a corrected one (`genres` beside `genre`) follows it, unless the user sets it, too.
    """
    kept: dict[str, Any] = orjson.loads(row["overrides"]) if row["overrides"] else {}
    values: Values = {name: row[name] for name in (*model.EDITABLE_TAGS, *model.EDITABLE_BEATS, "metadata_source")}

    def correct(name: str, value: Any, **marks: Any) -> None:
        kept[name] = {"file": kept[name]["file"] if name in kept else values[name], **marks}
        values[name] = value

    def take_back(name: str) -> None:
        if name in kept:
            values[name] = kept.pop(name)["file"]

    for name, value in edits.items():
        if value is None:
            take_back(name)
        else:
            correct(name, _json(value) if name in model.LISTS else value)
    for leader, follower, derived in _FOLLOWING:
        if (leader not in edits and follower not in edits) or _is_set_by_user(kept, follower):
            continue
        if _is_set_by_user(kept, leader):
            correct(follower, derived(values[leader], values[follower]), follows=leader)
        else:
            take_back(follower)
    if NAMING & kept.keys():
        correct("metadata_source", "user")
    else:
        take_back("metadata_source")
    values["overrides"] = _json(kept) if kept else None
    return {name: value for name, value in values.items() if value != row[name]}


def _is_set_by_user(kept: Mapping[str, Any], name: str) -> bool:
    return name in kept and "follows" not in kept[name]


def _all_of(one: str | None, _: str) -> str:
    return _json([one] if one else [])


def _first_of(several: str, _: str | None) -> str | None:
    values = orjson.loads(several)
    return values[0] if values else None


def _date_of(year: int, date: str | None) -> str:
    return date if date is not None and date[:4] == f"{year:04d}" else f"{year:04d}"


def _year_of(date: str, _: int | None) -> int | None:
    return dates.parse(date)[0]


# (what a user corrects, what says the same, how it follows from it and from its own value).
_FOLLOWING: tuple[tuple[str, str, Callable[[Any, Any], Any]], ...] = (
    ("artist", "artists", _all_of),
    ("artists", "artist", _first_of),
    ("genre", "genres", _all_of),
    ("genres", "genre", _first_of),
    ("year", "date", _date_of),
    ("date", "year", _year_of),
)


def under_overrides(row: Mapping[str, Any], read: Values) -> Values:
    """What a file or an analysis says now, beneath what a user corrected: that stays, and what they say is noted."""
    if not row["overrides"]:
        return read
    kept: dict[str, Any] = orjson.loads(row["overrides"])
    values = dict(read)
    for name in kept.keys() & read.keys():
        kept[name]["file"] = read[name]
        values[name] = row[name]
    values["overrides"] = _json(kept)
    return values


def read_again(row: Mapping[str, Any], read: Values) -> Values:
    """What a row holds once its file was read again: a user's corrections stay, another audio's analysis goes."""
    values = {**row, **under_overrides(row, read)}
    if values["audio_hash"] == row["audio_hash"]:
        return values
    # With its beats went what a user corrected of them.
    kept = orjson.loads(values["overrides"]) if values["overrides"] else {}
    left = {name: own for name, own in kept.items() if name not in model.EDITABLE_BEATS}
    return {**values, **model.NO_ANALYSIS, "overrides": _json(left) if left else None}


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()
