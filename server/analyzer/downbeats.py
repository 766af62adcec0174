"""Which pulses are beats, and which beats begin bars and phrases."""

import numpy as np
from numpy.typing import NDArray

from server.analyzer import metre, onset, tonal
from server.analyzer.pulse import Pulse

BEATS_PER_BAR = 4

_RATE = onset.FRAMES_PER_SECOND
_TREBLE, _BASS = (48, 84), (28, 50)  # MIDI
_METRE, _TREBLE_CHANGE, _BASS_CHANGE, _OPENING = 1.0, 1.0, 1.0, 1.0
_SECTION_BARS = 16
_BAR_SLIP_COST = 12.0

Array = NDArray[np.float64]


def rotations(onsets: onset.Onsets, notes: tonal.Notes, pulse: Pulse, audible_from: float) -> Array:
    """Log-odds of each place at which bars may begin, in sixteenths of a pulse after pulse 0: (64,).

    Drums speak through the metre; harmony, since chords and bass notes change at bar lines; and the first sound of a
    recording, `audible_from` seconds in, which mostly is a first beat.
    """
    position = pulse.position(np.arange(onsets.frames))
    seconds = pulse.period / _RATE
    total = _METRE * metre.scores(onsets, 0, onsets.frames, position, seconds)
    for weight, span in ((_TREBLE_CHANGE, _TREBLE), (_BASS_CHANGE, _BASS)):
        change = metre.fold(harmonic_change(notes, span, onsets.frames), position)
        total += weight * _around(change / (change.sum() + 1e-6))
    opening = float(pulse.position(np.array([audible_from * _RATE]))[0]) / 4 % 1 * metre.ROTATIONS
    distance = np.abs((np.arange(metre.ROTATIONS) - opening + 32) % metre.ROTATIONS - 32)
    return total + _OPENING * np.maximum(0, 1 - distance / 2)


def harmonic_change(notes: tonal.Notes, span: tuple[int, int], frames: int) -> Array:
    """For each onset frame, how much the notes of the next 0.37 s differ from those of the last (1 - cosine)."""
    chroma = np.sqrt(notes.chroma(*span))
    summed = np.concatenate([np.zeros((1, 12)), np.cumsum(chroma, axis=0)])
    count = chroma.shape[0]
    here = np.arange(count)
    before = summed[here] - summed[np.maximum(here - 2, 0)]
    after = summed[np.minimum(here + 2, count)] - summed[here]
    sizes = np.linalg.norm(before, axis=1) * np.linalg.norm(after, axis=1)
    change = np.where(sizes > 0, 1 - np.einsum("fc,fc->f", before, after) / np.maximum(sizes, 1e-12), 0)
    times = (here - 0.5) / tonal.FRAMES_PER_SECOND
    curve = np.interp(np.arange(frames) / _RATE, times, np.maximum(change, 0)) if count else np.zeros(frames)
    return np.maximum(curve - curve.mean(), 0)


def _around(bar: Array) -> Array:
    return np.asarray(sum(np.roll(bar, step) for step in range(-2, 3)))
