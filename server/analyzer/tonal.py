"""Which notes sound when: spectral peaks, the tuning they share, and their strength on the tuned scale."""

from dataclasses import dataclass

import numpy as np

from server.analyzer import envelope, filters, spectrum
from server.analyzer.arrays import Array, Numbers

WINDOW, HOP = 16384, 4096
"""743 ms windows resolve semitones from 130 Hz up; one frame every 186 ms."""
FRAMES_PER_SECOND = envelope.RATE / HOP
LOWEST_NOTE, NOTES = 28, 72
"""MIDI numbers: E1 (41 Hz) to D#7 (2.5 kHz)."""

_RANGE_HZ = (40.0, 2700.0)
_FAINTEST = 1e-4  # amplitude, -80 dBFS
_PROMINENCE = 2.0  # times the mean amplitude of the surrounding 61 bins, which drums fill evenly
_SURROUNDINGS = 61
_TUNING_FROM = 50.0  # MIDI; below it the spacing of bins blurs cents
_TUNING_SPREAD = 0.2  # semitones
_HARMONICS = ((19, 0.5), (28, 0.45), (31, 0.4), (34, 0.3))
"""Semitones above a note of its partials 3, 5, 6 and 7 (octaves don't mislead), and the roots of 1/n, about."""
_VOICES = (55.0, 84.0)  # MIDI
_BETWEEN_NOTES = 0.25  # semitones


@dataclass(frozen=True)
class Notes:
    """`strength` (frames, 72): square roots of amplitudes, so that a loud partial doesn't drown a chord.

    `tuning` is how far the recording lies from A4 = 440 Hz, in semitones from -0.5 to 0.5. `gliding` is the share,
    0–1, of what sounds in the range of voices that lies between the notes of the scale.
    """

    strength: Array
    tuning: float
    gliding: float = 0.0

    def chroma(self, lowest: int, highest: int) -> Array:
        """Sums the notes lowest to highest - 1 (MIDI) by pitch class, C first: (frames, 12)."""
        folded = np.zeros((self.strength.shape[0], 12))
        for note in range(max(lowest, LOWEST_NOTE), min(highest, LOWEST_NOTE + NOTES)):
            folded[:, note % 12] += self.strength[:, note - LOWEST_NOTE]
        return folded


def windows() -> spectrum.Windows:
    """743 ms every 186 ms, of mono samples at `envelope.RATE`."""
    return spectrum.Windows(WINDOW, HOP)


class Listener:
    """Takes the spectra of `windows()`; holds 12 bytes a spectral peak, a few kB a second of music."""

    def __init__(self) -> None:
        low, high = (int(edge / envelope.RATE * WINDOW) for edge in _RANGE_HZ)
        self._first, self._last = low, high
        self._frames = 0
        self._when: list[Numbers] = []
        self._pitch: list[Array] = []
        self._amplitude: list[Array] = []

    def hear(self, power: Array) -> None:
        if not power.shape[0]:
            return
        amplitude = np.sqrt(power[:, self._first - 1 : self._last + 2])
        centre = amplitude[:, 1:-1]
        is_peak = (centre > amplitude[:, :-2]) & (centre >= amplitude[:, 2:]) & (centre > _FAINTEST)
        is_peak &= centre > _PROMINENCE * filters.moving_mean(amplitude, _SURROUNDINGS, axis=1)[:, 1:-1]
        frame, place = np.nonzero(is_peak)
        # A parabola through the logarithms finds the top between bins (Smith and Serra, PARSHL, 1987).
        left, top, right = (np.log(amplitude[frame, place + step] + 1e-12) for step in range(3))
        shift = np.clip(0.5 * (left - right) / np.minimum(left - 2 * top + right, -1e-9), -0.5, 0.5)
        hertz = (place + self._first + shift) * (envelope.RATE / WINDOW)
        self._when.append((frame + self._frames).astype(np.int32))
        self._pitch.append((69 + 12 * np.log2(hertz / 440)).astype(np.float32))
        self._amplitude.append(np.exp(top - 0.25 * (left - right) * shift).astype(np.float32))
        self._frames += power.shape[0]

    def finish(self) -> Notes:
        if not self._frames:
            return Notes(np.zeros((0, NOTES)), 0.0)
        when, pitch, amplitude = (
            np.concatenate(self._when),
            np.concatenate(self._pitch),
            np.concatenate(self._amplitude),
        )
        tuning = _tuning(pitch, amplitude)
        nearest = np.rint(pitch - tuning)
        off = pitch - tuning - nearest
        index = nearest.astype(np.int64) - LOWEST_NOTE
        inside = (index >= 0) & (index < NOTES)
        weight = np.sqrt(amplitude) * np.exp(-0.5 * (off / _TUNING_SPREAD) ** 2)
        cells = when[inside].astype(np.int64) * NOTES + index[inside]
        strength = np.bincount(cells, weight[inside], self._frames * NOTES).reshape(self._frames, NOTES)
        return Notes(_without_harmonics(strength.astype(np.float64)), tuning, _gliding(pitch, off, amplitude))


def _without_harmonics(strength: Array) -> Array:
    """Takes from each note what the partials of lower ones, falling as 1/n, would put there."""
    less = strength.copy()
    for semitones, share in _HARMONICS:
        less[:, semitones:] -= share * strength[:, :-semitones]
    return np.maximum(less, 0)


def _tuning(pitch: Array, amplitude: Array) -> float:
    """The circular mean of how far peaks lie from the equal-tempered scale."""
    high = pitch > _TUNING_FROM
    turn = np.sum(np.sqrt(amplitude[high]) * np.exp(2j * np.pi * pitch[high].astype(np.float64)))
    return float(np.angle(turn) / (2 * np.pi))


def _gliding(pitch: Array, off: Array, amplitude: Array) -> float:
    sung = (pitch > _VOICES[0]) & (pitch < _VOICES[1])
    total = float(amplitude[sung].sum())
    return float(amplitude[sung & (np.abs(off) > _BETWEEN_NOTES)].sum()) / total if total > 0 else 0.0
