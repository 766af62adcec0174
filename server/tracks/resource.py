"""The track as the API shows it: serialised when the row changes, finished at reading with what one row can't know."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import orjson

from server.clock import to_rfc3339
from server.tracks.model import Location, Missing, key_from_index

_PLAIN = (
    "format", "container", "codec", "file_size", "audio_hash", "duplicate_group_id", "tags_error",
    "title", "artist", "album", "album_artist", "genre", "year", "date", "track_number", "track_total",
    "disc_number", "disc_total", "comment", "composer", "remixer", "label", "isrc", "grouping",
    "artwork_type", "artwork_size", "encoder", "metadata_source",
    "duration_seconds", "sample_rate", "bit_depth", "bit_rate", "bit_rate_mode", "channels",
    "bpm", "bpm_source", "key_source", "rating", "color_tag", "energy_level", "play_count",
)  # fmt: skip
_FLAGS = ("compilation", "has_artwork", "has_lyrics", "is_favorite")
_FEATURES = (
    "first_beat_offset", "first_phrase_beat_no", "audible_start_time", "audible_end_time", "energy", "loudness",
    "danceability", "valence", "arousal", "acousticness", "instrumentalness",
)  # fmt: skip


def serialise(row: Mapping[str, Any], root: bytes) -> bytes:
    """A row as JSON, all but the members that `finish` adds. `root` is the path of its library directory."""
    path = os.path.join(root, bytes(row["path"]))
    content: dict[str, Any] = {
        "id": row["id"],
        "library_directory_id": row["library_directory_id"],
        "file_path": path.decode("utf-8", "replace"),
        "relative_path": row["relative_path"],
        "file_name": row["file_name"],
        "file_modified": to_rfc3339(row["file_mtime_ns"] // 1_000_000),
    }
    for name in _PLAIN:
        content[name] = row[name]
    for name in _FLAGS:
        content[name] = bool(row[name])
    for name in ("artists", "genres", "tags"):
        content[name] = orjson.Fragment(row[name])
    content["replaygain"] = orjson.Fragment(row["replaygain"]) if row["replaygain"] else None
    _add_key(content, row["key_index"])
    for name in _FEATURES:
        content[name] = row.get(name)
    content["is_analyzed"] = bool(row.get("is_analyzed"))
    content["date_analyzed"] = to_rfc3339(row.get("date_analyzed"))
    content["analysis_stages"] = orjson.Fragment(row.get("analysis_stages") or "[]")
    for name in ("last_played", "date_added", "updated_at"):
        content[name] = to_rfc3339(row[name])
    return orjson.dumps(content)


# No text of a tag or a path can be taken for one of these: its quotation marks are escaped.
_GROUP = b'"duplicate_group_id":'
_DIRECTORY = b'"library_directory_id":'
_FILE_NAME = b',"file_name":'
_UPDATED = b',"updated_at":'


def regrouped(json: bytes, group: str | None) -> bytes:
    """A serialised track that belongs to another group of duplicates, and is the same else."""
    start = json.index(_GROUP) + len(_GROUP)
    return b"".join((json[:start], orjson.dumps(group), json[json.index(b",", start) :]))


def refiled(json: bytes, library_directory_id: str, root: bytes, path: bytes, updated_at: int) -> bytes:
    """A serialised track whose file lies in another folder, under the name it had, and is the same else."""
    place = {
        "library_directory_id": library_directory_id,
        "file_path": os.path.join(root, path).decode("utf-8", "replace"),
        "relative_path": path.decode("utf-8", "replace"),
    }
    start, end, last = json.index(_DIRECTORY), json.index(_FILE_NAME), json.rindex(_UPDATED)
    updated = orjson.dumps(to_rfc3339(updated_at))
    return b"".join((json[:start], orjson.dumps(place)[1:-1], json[end:last], _UPDATED, updated, b"}"))


def _add_key(content: dict[str, Any], index: int | None) -> None:
    key = None if index is None else key_from_index(index)
    content["musical_key"] = key and key.tonic
    content["mode"] = None if key is None else key.mode
    content["key_name"] = key and key.name
    content["camelot"] = key and key.camelot


_PRESENT = b',"is_missing":false,"missing_reason":null,"missing_since":null}'


def finish(json: bytes, missing_since: int | None, location: Location | None) -> bytes:
    """Add what changes without the row: whether the file can be reached, which one place decides for many tracks."""
    if location is not None and location.unreachable_reason is not None:
        return _missing(json, location.unreachable_reason, location.unreachable_since)
    if missing_since is not None:
        return _missing(json, Missing.FILE, missing_since)
    return bytes(json[:-1]) + _PRESENT


def _missing(json: bytes, reason: str, since: int | None) -> bytes:
    tail = orjson.dumps({"is_missing": True, "missing_reason": reason, "missing_since": to_rfc3339(since)})
    return bytes(json[:-1]) + b"," + tail[1:]
