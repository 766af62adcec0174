"""The key of a recording, from the notes it uses and the chords it moves through."""

from dataclasses import dataclass

import numpy as np

from server.analyzer import chords, tonal
from server.analyzer.arrays import Array

NAMES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
MODES = ("minor", "major")
"""By the number a mode has in results: 0 minor, 1 major."""

_PROFILES = (
    (0.748, 0.060, 0.488, 0.082, 0.670, 0.460, 0.096, 0.715, 0.104, 0.366, 0.057, 0.400),
    (0.712, 0.084, 0.474, 0.618, 0.049, 0.460, 0.105, 0.747, 0.404, 0.067, 0.133, 0.330),
)
"""Use of each degree in major and minor: Temperley, Music and Probability (2007), from the Kostka-Payne corpus."""
_SCALES = ((0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10))
_DIATONIC = (
    ((0, 0), (2, 1), (4, 1), (5, 0), (7, 0), (7, 1), (9, 1)),
    ((0, 1), (3, 0), (5, 1), (7, 1), (7, 0), (8, 0), (10, 0)),
)
"""Triads of each mode as (degree in semitones, 0 major or 1 minor); the dominant may be either."""
_RANGE = (48, 88)  # MIDI
_OPENING_FRAMES = 8  # 1.5 s of sounding harmony

WEIGHTS = {
    "profile": 7.1,
    "in_scale": 6.35,
    "foreign_chords": -7.39,
    "opening_root": 5.22,
    "dominant": 0.54,
    "subdominant": -1.04,
    "parallel": 1.43,
    "minor": -0.593,
}


@dataclass(frozen=True)
class Key:
    """`tonic` 0–11 from C, `mode` an index into MODES, `strength` 0–1: how well the notes fit that key's profile."""

    tonic: int
    mode: int
    strength: float

    @property
    def name(self) -> str:
        return NAMES[self.tonic]

    @property
    def mode_name(self) -> str:
        return MODES[self.mode]


def find(notes: tonal.Notes, heard: chords.Chords) -> Key | None:
    """None where nothing tonal sounds at all."""
    if not heard.sounding.any():
        return None
    evidence = features(notes, heard)
    best = int(np.argmax(evidence @ np.array(list(WEIGHTS.values()))))
    return Key(best % 12, 1 - best // 12, float(np.clip(evidence[best, 0], 0, 1)))


def features(notes: tonal.Notes, heard: chords.Chords) -> Array:
    """What speaks for each of the 24 keys, (24, len(WEIGHTS)), in the order of WEIGHTS."""
    chroma = notes.chroma(*_RANGE)
    strength = chroma.sum(axis=1, keepdims=True) + 1e-9
    use = (chroma / strength * np.minimum(strength / np.median(strength), 1)).sum(axis=0)
    use /= use.sum() + 1e-9
    share = np.bincount(heard.heard, minlength=chords.TRIADS) / heard.heard.size
    opening = np.bincount(heard.heard[:_OPENING_FRAMES], minlength=chords.TRIADS) / _OPENING_FRAMES
    return np.array([_evidence(use, share, opening, key % 12, key // 12) for key in range(24)])


def _evidence(use: Array, share: Array, opening: Array, tonic: int, minor: int) -> list[float]:
    def chord(degree: int, quality: int) -> float:
        return float(share[12 * quality + (tonic + degree) % 12])

    return [
        _correlation(use, np.roll(_PROFILES[minor], tonic)),
        float(sum(use[(tonic + degree) % 12] for degree in _SCALES[minor])),
        1 - sum(chord(degree, quality) for degree, quality in _DIATONIC[minor]),
        float(opening[tonic] + opening[12 + tonic]),
        chord(7, 0),
        chord(5, minor),
        chord(0, 1 - minor),
        float(minor),
    ]


def _correlation(first: Array, second: Array) -> float:
    first, second = first - first.mean(), second - second.mean()
    return float(first @ second / (np.linalg.norm(first) * np.linalg.norm(second) + 1e-12))
