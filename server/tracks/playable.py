"""What a deck must know to play a track, in one query each for the track and its cues."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from server.db.database import Params, Row
from server.tracks import cue_store
from server.tracks.cue import merged

_TRACK = """
    SELECT tracks.id, path, audio_hash, missing_since, bpm, key_index, first_beat_offset, first_phrase_beat_no,
        duration_seconds, root, unreachable_reason
    FROM tracks LEFT JOIN track_locations ON track_locations.library_directory_id = tracks.library_directory_id
    WHERE tracks.id = :id
"""


def track(track_id: str) -> tuple[str, Params]:
    """At most one row; `path` is relative to `root`, which is None where the directory isn't known."""
    return _TRACK, {"id": track_id}


def cues(track_id: str) -> tuple[str, Params]:
    return cue_store.OF_TRACK, {"track": track_id}


def merged_cues(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """The rows of `cues`: one for each index, as the API shows them."""
    return [cue.as_json() for cue in merged(cue_store.cues(rows))]
