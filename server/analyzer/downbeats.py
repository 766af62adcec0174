"""Which pulses are beats, and which beats begin bars and phrases."""

import numpy as np

from server.analyzer import metre, onset, tonal
from server.analyzer.arrays import Array, Flags
from server.analyzer.pulse import Pulse, cheapest_path

BEATS_PER_BAR = 4

_RATE = onset.FRAMES_PER_SECOND
_TREBLE, _BASS = (48, 84), (28, 50)  # MIDI
WEIGHTS = {"metre": 0.506, "treble_change": 6.15, "bass_change": 1.86, "opening": 3.1}
"""Fitted, but for the opening: generated tracks all begin with a first beat, and real ones don't, so it counts less."""

_SECTION_BARS = 16
_BAR_SLIP_COST = 12.0


def rotations(onsets: onset.Onsets, notes: tonal.Notes, pulse: Pulse, audible_from: float) -> Array:
    """Log-odds of each place at which bars may begin, in sixteenths of a pulse after pulse 0: (64,)."""
    return np.asarray(evidence(onsets, notes, pulse, audible_from) @ np.array(list(WEIGHTS.values())))


def evidence(onsets: onset.Onsets, notes: tonal.Notes, pulse: Pulse, audible_from: float) -> Array:
    """What speaks for each place, (64, len(WEIGHTS)), in the order of WEIGHTS.

    Drums speak through the metre; harmony, since chords and bass notes change at bar lines; and the first sound of a
    recording, `audible_from` seconds in, which mostly is a first beat.
    """
    opening = float(pulse.position(np.array([audible_from * _RATE]))[0]) / 4 % 1 * metre.ROTATIONS
    distance = np.abs((np.arange(metre.ROTATIONS) - opening + 32) % metre.ROTATIONS - 32)
    bars = _bar_evidence(onsets, notes, pulse, 0, onsets.frames)
    return np.concatenate([bars, np.maximum(0, 1 - distance / 2)[:, None]], axis=1)


def first_of_bars(onsets: onset.Onsets, notes: tonal.Notes, beats: Pulse, audible_from: float) -> Flags:
    """Tells for each beat whether a bar begins with it.

    Every section of 16 bars is judged anew, but a slip, as after an odd bar or between the records of a mix, must
    be worth it.
    """
    section = BEATS_PER_BAR * _SECTION_BARS
    starts = np.arange(0, max(1, beats.frames.size - section // 2), section)
    scores = np.empty((starts.size, BEATS_PER_BAR))
    weights = np.array(list(WEIGHTS.values()))
    for row, start in enumerate(starts):
        stop = beats.frames.size - 1 if row == starts.size - 1 else start + section
        edges = np.clip(np.rint(beats.at(np.array([start, stop]))), 0, onsets.frames).astype(np.int64)
        heard = _bar_evidence(onsets, notes, beats, int(edges[0]), int(edges[1])) @ weights[:-1]
        scores[row] = heard[:: metre.ROTATIONS // BEATS_PER_BAR]
    scores[0, round(float(beats.position(np.array([audible_from * _RATE]))[0])) % BEATS_PER_BAR] += weights[-1]
    path = cheapest_path(scores, _BAR_SLIP_COST * (1 - np.eye(BEATS_PER_BAR)))
    number = np.arange(beats.frames.size)
    phase = path[np.minimum(number // section, starts.size - 1)]
    return np.asarray(number % BEATS_PER_BAR == phase)


def _bar_evidence(onsets: onset.Onsets, notes: tonal.Notes, pulse: Pulse, start: int, stop: int) -> Array:
    """The columns of `evidence` but for the last, from the frames start to stop - 1."""
    position = pulse.position(np.arange(start, stop, dtype=np.float64))
    columns = [metre.scores(onsets, start, stop, position, pulse.period / _RATE)]
    for span in (_TREBLE, _BASS):
        change = metre.fold(harmonic_change(notes, span, onsets.frames)[start:stop], position)
        columns.append(_around(change / (change.sum() + 1e-6)))
    return np.stack(columns, axis=1)


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
    return np.asarray(np.maximum(curve - curve.mean(), 0))


def _around(bar: Array) -> Array:
    return np.asarray(sum(np.roll(bar, step) for step in range(-2, 3)))
