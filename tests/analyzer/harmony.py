"""Chord progressions of a key, and the sounds that play them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float64]
_MAJOR = (0, 2, 4, 5, 7, 9, 11)
_MINOR = (0, 2, 3, 5, 7, 8, 10)


@dataclass(frozen=True)
class Chord:
    """Pitch classes, root first, as semitones above the tonic of the key."""

    root: int
    third: int
    fifth: int


def triad(degree: int, mode: str, *, raised_leading_note: bool = False) -> Chord:
    """The triad on a degree (0 = tonic). In minor the dominant may take the raised seventh."""
    scale = _MAJOR if mode == "major" else _MINOR
    notes = [scale[(degree + step) % 7] for step in (0, 2, 4)]
    if raised_leading_note and mode == "minor":
        notes = [11 if note == 10 else note for note in notes]
    return Chord(*notes)


PROGRESSIONS: dict[str, dict[str, tuple[int, ...]]] = {
    "major": {
        "tonic": (0,),
        "I-IV-V-I": (0, 3, 4, 0),
        "I-V-vi-IV": (0, 4, 5, 3),
        "I-vi-IV-V": (0, 5, 3, 4),
        "I-IV": (0, 3),
        "ii-V-I": (1, 4, 0, 0),
        "I-iii-IV-V": (0, 2, 3, 4),
    },
    "minor": {
        "tonic": (0,),
        "i-iv-v-i": (0, 3, 4, 0),
        "i-VI-III-VII": (0, 5, 2, 6),
        "i-VII-VI-VII": (0, 6, 5, 6),
        "i-iv": (0, 3),
        "i-VI-iv-v": (0, 5, 3, 4),
        "i-i-VI-VII": (0, 0, 5, 6),
    },
}


def tone(rng: np.random.Generator, rate: int, hertz: float, seconds: float, timbre: str) -> Samples:
    """One note with 5–30 ms of attack and a release inside its length."""
    t = np.arange(int(seconds * rate)) / rate
    partials = {"sine": 1, "organ": 6, "saw": 24, "square": 20, "pluck": 12, "soft": 4}[timbre]
    wave = np.zeros(t.size)
    for number in range(1, partials + 1):
        if number * hertz > rate * 0.45 or (timbre == "square" and number % 2 == 0):
            continue
        strength = {"organ": 1 / number**1.2, "soft": 1 / number**2.5}.get(timbre, 1 / number)
        decay = np.exp(-t * number * 2.5) if timbre == "pluck" else 1.0
        wave += strength * decay * np.sin(2 * np.pi * number * hertz * t + rng.uniform(0, 2 * np.pi))
    attack = 0.004 if timbre == "pluck" else rng.uniform(0.005, 0.03)
    release = min(0.05, seconds / 4)
    envelope = np.minimum(1, t / attack) * np.clip((seconds - t) / release, 0, 1)
    return np.asarray(wave * envelope)


def hertz_of(note: float) -> float:
    """Frequency of a MIDI note number (69 = 440 Hz)."""
    return float(440.0 * 2 ** ((note - 69) / 12))
