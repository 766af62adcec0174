"""The flat form of criteria: each name stands for conditions of the full form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from server.playlists.fields import Op

Plain = tuple[str, Op, Any]


def _compared(field: str, op: Op) -> Callable[[Any], list[Plain]]:
    return lambda value: [(field, op, value)]


def _key(value: Any) -> list[Plain]:
    """A tonic from 0 to 11 as in `musical_key`, or a key as DJs write it."""
    return [("key" if isinstance(value, str) else "musical_key", Op.IS, value)]


FORMS: dict[str, Callable[[Any], list[Plain]]] = {
    "bpm_min": _compared("bpm", Op.GTE),
    "bpm_max": _compared("bpm", Op.LTE),
    "key": _key,
    "mode": _compared("mode", Op.IS),
    "genres": _compared("genre", Op.IN),
    "energy_min": _compared("energy", Op.GTE),
    "energy_max": _compared("energy", Op.LTE),
    "danceability_min": _compared("danceability", Op.GTE),
    "valence_min": _compared("valence", Op.GTE),
    "valence_max": _compared("valence", Op.LTE),
    "arousal_min": _compared("arousal", Op.GTE),
    "arousal_max": _compared("arousal", Op.LTE),
    "date_added_after": _compared("date_added", Op.AFTER),
    "date_added_before": _compared("date_added", Op.BEFORE),
    "play_count_min": _compared("play_count", Op.GTE),
    "play_count_max": _compared("play_count", Op.LTE),
    "last_played_after": _compared("last_played", Op.AFTER),
    "last_played_before": _compared("last_played", Op.BEFORE),
    "rating_min": _compared("rating", Op.GTE),
    "bit_rate_min": _compared("bit_rate", Op.GTE),
    "duration_min": _compared("duration_seconds", Op.GTE),
    "duration_max": _compared("duration_seconds", Op.LTE),
    "library_directory_id": _compared("library_directory_id", Op.IS),
    "path_contains": _compared("relative_path", Op.CONTAINS),
    "is_analyzed": _compared("is_analyzed", Op.IS),
    "has_stems": _compared("has_stems", Op.IS),
}
