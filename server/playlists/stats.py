"""The figures of a playlist."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from server.tracks.model import key_from_index
from server.tracks.selection import Brief

# The energy curve has at most so many points; a longer list is averaged over stretches of equal length.
CURVE_POINTS = 200


def statistics(tracks: Sequence[Brief | None], durations_ms: Sequence[int]) -> dict[str, Any]:
    """Figures of a list, from its tracks in order (None: in the library no more) and the lengths of its entries.

    Durations in seconds; what a track lacks (tempo, key, genre, energy) isn't counted.
    """
    present = [track for track in tracks if track is not None]
    tempos = [track.bpm for track in present if track.bpm is not None]
    return {
        "track_count": len(tracks),
        "missing_count": sum(track is None or track.is_missing for track in tracks),
        "total_duration": sum(durations_ms) / 1000,
        "bpm": {
            "min": min(tempos, default=None),
            "max": max(tempos, default=None),
            "mean": sum(tempos) / len(tempos) if tempos else None,
        },
        "keys": _counts(key_from_index(item.key_index).camelot for item in present if item.key_index is not None),
        "genres": _counts(item.genre for item in present if item.genre),
        "energy_curve": energy_curve([None if track is None else track.energy for track in tracks]),
    }


def _counts(values: Iterable[str]) -> list[Mapping[str, Any]]:
    return [{"value": value, "count": count} for value, count in Counter(values).most_common()]


def energy_curve(energies: Sequence[float | None]) -> list[Mapping[str, Any]]:
    """Mean energy along a list: `position` is that of the first track of each stretch; null where none is known."""
    points = min(len(energies), CURVE_POINTS)
    curve: list[Mapping[str, Any]] = []
    for point in range(points):
        start, stop = point * len(energies) // points, (point + 1) * len(energies) // points
        known = [energy for energy in energies[start:stop] if energy is not None]
        curve.append({"position": start, "energy": sum(known) / len(known) if known else None})
    return curve
