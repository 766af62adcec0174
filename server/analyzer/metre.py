"""How well a stretch of onsets fits a 4/4 bar of a given length, at each rotation of that bar.

Drums repeat every bar, and what plays on which sixteenth tells which of several possible pulses people would tap:
kicks on every beat, or claps on the second and fourth, are beats; the same sounds half as often, or twice, are not.
"""

import numpy as np

from server.analyzer import onset
from server.analyzer.arrays import Array

ROTATIONS = 64
"""Places in a bar where it may begin: sixteen to a beat."""
STEPS = 16
"""Sixteenth notes of a bar."""

_PER_STEP = ROTATIONS // STEPS
_BEATS, _BACKBEATS, _EIGHTHS, _SIXTEENTHS = [0, 4, 8, 12], [4, 12], [2, 6, 10, 14], list(range(1, 16, 2))
_TYPICAL_TEMPO = 118.0

WEIGHTS = {
    "repeats_low": 7.15,
    "repeats_noise": 0.288,
    "repeats_high": 4.98,
    "repeats_all": 4.43,
    "fast": -2.11,
    "far": 0.819,
    "kick_every_beat": 39.8,
    "backbeat": 2.56,
    "backbeat_without_kick": 1.71,
    "kick_every_other_beat": -1.01,
    "gap_every_other_beat": -2.09,
    "eighths_like_beats": -1.56,
    "kick_between_beats": -1.87,
    "kick_and_backbeat": 3.38,
    "burst_every_eighth": -10.1,
    "low_first": 29.4,
    "low_eighths": 7.69,
    "low_sixteenths": 5.27,
    "noise_first": 2.42,
    "noise_third": 3.44,
    "noise_backbeats": 5.71,
    "noise_eighths": 4.67,
    "high_eighths": -1.32,
    "high_sixteenths": -4.48,
}


def evidence(onsets: onset.Onsets, start: int, stop: int, beat_position: Array, beat_seconds: float) -> Array:
    """What speaks for the bar at each rotation, (ROTATIONS, len(WEIGHTS)), in the order of WEIGHTS.

    `beat_position` gives, for the frames start to stop - 1, how many beats have passed. Rotation r means that bars
    begin r / 16 beats after position 0, 4, 8 …
    """
    bars = [fold(curve[start:stop], beat_position) for curve in (onsets.low, onsets.noise, onsets.high, onsets.all)]
    low, noise, high, everything = (_steps(bar) for bar in bars)
    low_share, noise_share, all_share = (steps / (steps.max() + 1e-3) for steps in (low, noise, everything))
    octaves = np.log2(60 / beat_seconds / _TYPICAL_TEMPO)
    backbeat = _least(noise_share, _BACKBEATS)
    kick_on_one_and_three = _least(low_share, [0, 8]) * (1 - _most(low_share, _BACKBEATS))
    on, off = (np.array([s[:, at].sum(axis=1) for s in (low, noise, high, everything)]) for at in (_BEATS, _EIGHTHS))
    columns = [
        *(np.full(ROTATIONS, bar.sum()) for bar in bars),
        np.full(ROTATIONS, octaves),
        np.full(ROTATIONS, octaves**2),
        _least(low, _BEATS),
        backbeat * (1 - _most(noise_share, [0, 8])),
        backbeat * (1 - _most(low_share, _BACKBEATS)),
        kick_on_one_and_three * (1 - backbeat),
        _least(all_share, [0, 8]) * (1 - _most(all_share, _BACKBEATS)),
        (np.minimum(on, off).sum(axis=0) / (np.maximum(on, off).sum(axis=0) + 1e-3)) ** 4,
        _least(low_share, _EIGHTHS) * (1 - _most(low_share, _BEATS)),
        backbeat * low_share[:, 0] * (1 - _most(low_share, _BACKBEATS)),
        _least(noise_share, [*_BEATS, *_EIGHTHS]),
        low[:, 0],
        low[:, _EIGHTHS].sum(axis=1),
        low[:, _SIXTEENTHS].sum(axis=1),
        noise[:, 0],
        noise[:, 8],
        noise[:, _BACKBEATS].sum(axis=1),
        noise[:, _EIGHTHS].sum(axis=1),
        high[:, _EIGHTHS].sum(axis=1),
        high[:, _SIXTEENTHS].sum(axis=1),
    ]
    return np.stack(columns, axis=1)


def scores(onsets: onset.Onsets, start: int, stop: int, beat_position: Array, beat_seconds: float) -> Array:
    """Log-odds of each rotation, comparable between beat lengths: (ROTATIONS,)."""
    weights = np.array(list(WEIGHTS.values()))
    return np.asarray(evidence(onsets, start, stop, beat_position, beat_seconds) @ weights)


def fold(curve: Array, beat_position: Array) -> Array:
    """The mean course of a bar, less the overall mean, as shares of everything heard: (ROTATIONS,)."""
    mean = curve.mean() if curve.size else 0.0
    if mean <= 1e-9:
        return np.zeros(ROTATIONS)
    place = beat_position / 4 % 1 * ROTATIONS
    left = place.astype(np.int64) % ROTATIONS
    part = place - np.floor(place)
    right = (left + 1) % ROTATIONS
    heard = np.bincount(left, curve * (1 - part), ROTATIONS) + np.bincount(right, curve * part, ROTATIONS)
    time = np.bincount(left, 1 - part, ROTATIONS) + np.bincount(right, part, ROTATIONS)
    return np.asarray(np.maximum(heard / np.maximum(time, 1e-9) - mean, 0) / (mean * ROTATIONS))


def _steps(bar: Array) -> Array:
    """How much begins on each sixteenth, for each rotation: (ROTATIONS, STEPS). Odd sixteenths may swing late."""
    around = bar + 0.5 * (np.roll(bar, 1) + np.roll(bar, -1))
    swung = np.maximum(around, np.roll(around, -1))
    return np.stack([np.roll(swung if step % 2 else around, -_PER_STEP * step) for step in range(STEPS)], axis=1)


def _least(steps: Array, at: list[int]) -> Array:
    return np.asarray(steps[:, at].min(axis=1))


def _most(steps: Array, at: list[int]) -> Array:
    return np.asarray(steps[:, at].max(axis=1))
