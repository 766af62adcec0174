"""The track as a row: which columns a file fills, which a user sets, and which value is in effect."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import orjson

from server.metadata.key import Key
from server.metadata.model import Metadata
from server.tracks.fold import fold, fold_with_parts

Values = dict[str, Any]


class HashState(StrEnum):
    """`pending`: still to be hashed; `empty`: the file holds no audio; `failed`: the audio couldn't be found in it."""

    PENDING = "pending"
    DONE = "done"
    EMPTY = "empty"
    FAILED = "failed"


class Missing(StrEnum):
    """Why a track's file can't be reached."""

    FILE = "file"
    MEDIA = "media"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What `stat` says of a file: `size` in bytes, `mtime_ns` since the epoch; inode and device as `signed`."""

    size: int
    mtime_ns: int
    inode: int
    device: int


@dataclass(frozen=True, slots=True)
class Location:
    """A library directory as far as its tracks are concerned. `root` is its path, byte for byte."""

    library_directory_id: str
    root: bytes
    unreachable_reason: str | None = None
    unreachable_since: int | None = None


# Text that a user may correct in the library; the file's own value is kept beside the correction.
EDITABLE_TAGS = (
    "title", "artist", "artists", "album", "album_artist", "genre", "genres", "year", "date", "track_number",
    "track_total", "disc_number", "disc_total", "comment", "composer", "remixer", "label", "isrc", "grouping",
    "compilation",
)  # fmt: skip
# What a user may correct of what an analysis found; kept beside the corrected tags.
EDITABLE_BEATS = ("first_beat_offset", "first_phrase_beat_no")
LISTS = ("artists", "genres")
FOLDED = ("title", "artist", "album", "album_artist", "genre", "label", "composer", "remixer", "comment", "file_name")
# What an edit of a user's may set, and the column that keeps it.
USER_COLUMNS = {
    "rating": "user_rating",
    "energy_level": "user_energy_level",
    "bpm": "user_bpm",
    "color_tag": "color_tag",
    "is_favorite": "is_favorite",
    "tags": "tags",
}
# Columns that show what somebody has done with a track, and what they hold as long as nobody has.
UNMARKED: Values = {
    **dict.fromkeys(
        ("user_bpm", "user_key", "user_rating", "user_energy_level", "color_tag", "overrides", "last_played")
    ),
    "is_favorite": 0,
    "play_count": 0,
    "tags": "[]",
}
MULTI_VALUED = {"artists": "artist", "genres": "genre", "tags": "tag"}


def file_values(metadata: Metadata, facts: FileFacts, audio_hash: str | None, hash_state: HashState) -> Values:
    """Every column that is read from the file itself."""
    key = metadata.key
    return {
        "container": metadata.container,
        "codec": metadata.codec,
        "file_size": facts.size,
        "file_mtime_ns": facts.mtime_ns,
        "file_inode": facts.inode,
        "file_device": facts.device,
        "audio_hash": audio_hash,
        "hash_state": hash_state.value,
        "tags_error": metadata.tags_error,
        "metadata_source": metadata.metadata_source.value,
        "title": metadata.title,
        "artist": metadata.artist,
        "artists": _json(metadata.artists),
        "album": metadata.album,
        "album_artist": metadata.album_artist,
        "genre": metadata.genre,
        "genres": _json(metadata.genres),
        "year": metadata.year,
        "date": metadata.date,
        "track_number": metadata.track_number,
        "track_total": metadata.track_total,
        "disc_number": metadata.disc_number,
        "disc_total": metadata.disc_total,
        "comment": metadata.comment,
        "composer": metadata.composer,
        "remixer": metadata.remixer,
        "label": metadata.label,
        "isrc": metadata.isrc,
        "grouping": metadata.grouping,
        "compilation": int(metadata.compilation),
        "has_lyrics": int(metadata.has_lyrics),
        "has_artwork": int(metadata.has_artwork),
        "artwork_type": metadata.artwork_type,
        "artwork_size": metadata.artwork_size,
        "encoder": metadata.encoder,
        "duration_seconds": metadata.duration_seconds,
        "sample_rate": metadata.sample_rate,
        "bit_depth": metadata.bit_depth,
        "bit_rate": metadata.bit_rate,
        "bit_rate_mode": metadata.bit_rate_mode,
        "channels": metadata.channels,
        "replaygain": _replaygain(metadata),
        "tag_bpm": metadata.bpm,
        "tag_key": None if key is None else key_index(key),
        "tag_rating": metadata.rating,
        "tag_energy_level": metadata.energy_level,
    }


def file_part(row: Mapping[str, Any]) -> Values:
    """Of a whole row, what `file_values` gave it."""
    names = file_values(Metadata(title=""), FileFacts(0, 0, 0, 0), None, HashState.PENDING)
    return {name: row[name] for name in names}


def path_values(path: bytes) -> Values:
    """The columns that follow from the path within the library directory, kept byte for byte beside a readable form."""
    readable = path.decode("utf-8", "replace")
    file_name = readable.rsplit("/", 1)[-1]
    extension = os.path.splitext(file_name)[1]
    return {
        "path": path,
        "relative_path": readable,
        "file_name": file_name,
        "format": extension.removeprefix(".").lower(),
    }


def new_values(track_id: str, library_directory_id: str, path: bytes, read: Values, now: int) -> Values:
    """A whole row for a file that wasn't known; `read` comes from `file_values`."""
    return complete(
        {
            "id": track_id,
            "library_directory_id": library_directory_id,
            **path_values(path),
            **read,
            "duplicate_group_id": None,
            "missing_since": None,
            "user_bpm": None,
            "user_key": None,
            "user_rating": None,
            "user_energy_level": None,
            "analysis_bpm": None,
            "analysis_key": None,
            "color_tag": None,
            "is_favorite": 0,
            "tags": "[]",
            "overrides": None,
            "play_count": 0,
            "last_played": None,
            "date_added": now,
            "updated_at": now,
        }
    )


def complete(row: Mapping[str, Any]) -> Values:
    """The row with every value that follows from others: effective values and folded text."""
    values = dict(row)
    values["bpm"], values["bpm_source"] = _effective(values, "bpm")
    values["key_index"], values["key_source"] = _effective(values, "key")
    values["key_order"] = None if values["key_index"] is None else key_order(key_from_index(values["key_index"]))
    for name in ("rating", "energy_level"):
        user = values[f"user_{name}"]
        values[name] = user if user is not None else values[f"tag_{name}"]
    parts: list[str] = []
    for name in FOLDED:
        text = values[name]
        if name == "file_name":
            text = os.path.splitext(text)[0]
        folded, more = fold_with_parts(text) if text else ("", [])
        values[f"{name}_fold"] = folded if folded or name == "file_name" else None
        parts += more
    for name in LISTS:
        own = values[f"{MULTI_VALUED[name]}_fold"]
        for text in orjson.loads(values[name]) if "," in values[name] else ():
            folded, more = fold_with_parts(text)
            # The field itself often holds them all: `A & B`.
            if folded and f" {folded} " not in f" {own} ":
                parts += [folded, *more]
    values["split_words"] = " ".join(dict.fromkeys(parts)) or None
    return values


def is_marked(row: Mapping[str, Any]) -> bool:
    """Whether somebody has rated, corrected, tagged or played a track."""
    return any(row[name] != value for name, value in UNMARKED.items())


def _effective(values: Mapping[str, Any], name: str) -> tuple[Any, str | None]:
    """What the user set, else what the analysis found, else what the file's tag says; and which of them it is."""
    for source in ("user", "analysis", "tag"):
        value = values[f"{source}_{name}"]
        if value is not None:
            return value, source
    return None, None


# What a track shows of the analysis of its audio; another audio has none of it.
NO_ANALYSIS: Values = {
    "analysis_bpm": None,
    "analysis_key": None,
    "first_beat_offset": None,
    "first_phrase_beat_no": None,
    "audible_start_time": None,
    "audible_end_time": None,
    "energy": None,
    "loudness": None,
    "danceability": None,
    "valence": None,
    "arousal": None,
    "acousticness": None,
    "instrumentalness": None,
    "is_analyzed": 0,
    "date_analyzed": None,
    "analysis_stages": "[]",
}


def terms(row: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """(field, folded value, value) of everything a track has more than one of, and of every tag."""
    found: dict[tuple[str, str], str] = {}
    for column, field in MULTI_VALUED.items():
        values = orjson.loads(row[column]) if row[column] != "[]" else []
        if len(values) > 1 or field == "tag":
            for value in values:
                if folded := fold(value):
                    found.setdefault((field, folded), value)
    return [(field, folded, value) for (field, folded), value in found.items()]


def key_index(key: Key) -> int:
    """A key as one number: the tonic doubled, plus the mode."""
    return key.tonic * 2 + key.mode


def key_from_index(index: int) -> Key:
    return Key(index // 2, index % 2)


def key_order(key: Key) -> int:
    """The place on the Camelot wheel: 1A, 1B, 2A, … 12B."""
    return key.wheel_number * 2 + key.mode


def _replaygain(metadata: Metadata) -> str | None:
    values = {
        "track_gain": metadata.replaygain_track_gain,
        "track_peak": metadata.replaygain_track_peak,
        "album_gain": metadata.replaygain_album_gain,
        "album_peak": metadata.replaygain_album_peak,
    }
    return _json(values) if any(value is not None for value in values.values()) else None


def signed(value: int) -> int:
    """Some file systems use all 64 bits; the databases' integers have a sign."""
    return value - (1 << 64) if value >= 1 << 63 else value


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()
