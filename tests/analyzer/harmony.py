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


_PARTIALS = {"sine": 1, "organ": 6, "saw": 24, "square": 20, "pluck": 12, "soft": 4}


class Player:
    """Plays notes with one timbre, and remembers them, since songs repeat theirs."""

    def __init__(self, rng: np.random.Generator, rate: int, timbre: str) -> None:
        self._rng, self._rate, self._timbre = rng, rate, timbre
        self._played: dict[tuple[float, float], Samples] = {}

    def play(self, note: float, seconds: float) -> Samples:
        """A MIDI note (69 = 440 Hz, fractions detune) with 5–30 ms of attack and a release inside its length."""
        if (note, seconds) not in self._played:
            self._played[note, seconds] = self._tone(440.0 * 2 ** ((note - 69) / 12), seconds)
        return self._played[note, seconds]

    def _tone(self, hertz: float, seconds: float) -> Samples:
        t = np.arange(int(seconds * self._rate)) / self._rate
        wave = np.zeros(t.size)
        for number in range(1, _PARTIALS[self._timbre] + 1):
            if number * hertz > self._rate * 0.45 or (self._timbre == "square" and number % 2 == 0):
                continue
            strength = {"organ": 1 / number**1.2, "soft": 1 / number**2.5}.get(self._timbre, 1 / number)
            decay = np.exp(-t * number * 2.5) if self._timbre == "pluck" else 1.0
            wave += strength * decay * np.sin(2 * np.pi * number * hertz * t + self._rng.uniform(0, 2 * np.pi))
        attack = 0.004 if self._timbre == "pluck" else self._rng.uniform(0.005, 0.03)
        release = min(0.05, seconds / 4)
        return np.asarray(wave * np.minimum(1, t / attack) * np.clip((seconds - t) / release, 0, 1))
