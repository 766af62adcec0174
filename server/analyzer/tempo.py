"""The tempo: periods at which onsets repeat, and which of them people would tap."""

from dataclasses import dataclass

import numpy as np
from scipy.fft import irfft, rfft

from server.analyzer import filters, metre, onset
from server.analyzer.arrays import Array

SLOWEST, FASTEST = 69.5, 181.0
"""Beats a minute that a tempo may have."""

_RATE = onset.FRAMES_PER_SECOND
_LONGEST_LAG = int(8.5 * _RATE)
_WINDOW = int(12 * _RATE)
_PULSES = np.exp(np.arange(np.log(60.0), np.log(190.0), 0.004))
_MULTIPLES = ((1, 1.0), (2, 1.0), (3, 0.7), (4, 1.0))
_RATIOS = (1 / 4, 1 / 3, 1 / 2, 2 / 3, 3 / 4, 1, 4 / 3, 3 / 2, 2, 3, 4)
_PATTERN_WINDOW = int(16 * _RATE)
_MOST_PATTERN_WINDOWS = 40


@dataclass(frozen=True)
class Tempo:
    """`period` is the length of a beat in onset frames; `others` are the rejected ones, best first."""

    period: float
    others: tuple[float, ...]

    @property
    def beats_per_minute(self) -> float:
        return 60 * _RATE / self.period


def find(onsets: onset.Onsets) -> Tempo | None:
    """None where nothing repeats, as in silence or a single sound.

    One strong period comes from the autocorrelation of all onsets; those related to it by small ratios are then
    weighed by how well bars of that length explain the drums (see metre).
    """
    similarity = autocorrelation(onsets.all)
    if similarity is None:
        return None
    pulse = refine(similarity, _strongest_pulse(similarity))
    periods = [pulse * ratio for ratio in _RATIOS if SLOWEST < 60 * _RATE / (pulse * ratio) < FASTEST]
    ranked = sorted(periods, key=lambda period: -_likelihood(onsets, period))
    return Tempo(ranked[0], tuple(ranked[1:]))


def autocorrelation(curve: Array) -> Array | None:
    """Of windows of 12 s, summed, so that a tempo may drift; lags 0 to 8.5 s in frames, 1 at lag 0."""
    total = np.zeros(_LONGEST_LAG + 1)
    size = filters.fast_length(2 * (_WINDOW + _LONGEST_LAG))
    for start in range(0, max(1, curve.size - _WINDOW // 2), _WINDOW // 2):
        here = rfft(curve[start : start + _WINDOW], size)
        there = rfft(curve[start : start + _WINDOW + _LONGEST_LAG], size)
        total += irfft(np.conj(here) * there, size)[: _LONGEST_LAG + 1]
    return total / total[0] if total[0] > 0 else None


def _strongest_pulse(similarity: Array) -> float:
    periods = 60 / _PULSES * _RATE
    lags = np.arange(similarity.size)
    strength = sum(weight * np.interp(multiple * periods, lags, similarity) for multiple, weight in _MULTIPLES)
    return float(periods[np.argmax(strength)])


def refine(similarity: Array, period: float) -> float:
    """The period within 1.2 % whose multiples up to the longest lag agree best; good to some 0.01 %."""
    lags = np.arange(similarity.size)
    multiples = np.arange(1, int((similarity.size - 2) / (period * 1.012)) + 1)
    for span in (0.012, 0.0015, 0.00024):
        tried = period * (1 + np.linspace(-span, span, 25))
        agreement = np.interp(np.outer(tried, multiples), lags, similarity).mean(axis=1)
        period = float(tried[np.argmax(agreement)])
    return period


def pattern_windows(onsets: onset.Onsets) -> list[tuple[int, int]]:
    """First and last frame (exclusive) of windows of 16 s; of long recordings some forty, evenly spread."""
    starts = np.arange(0, max(1, onsets.frames - _PATTERN_WINDOW // 2), _PATTERN_WINDOW)
    if starts.size > _MOST_PATTERN_WINDOWS:
        starts = starts[np.linspace(0, starts.size - 1, _MOST_PATTERN_WINDOWS).astype(np.int64)]
    return [(start, min(start + _PATTERN_WINDOW, onsets.frames)) for start in starts.tolist()]


def _likelihood(onsets: onset.Onsets, period: float) -> float:
    """Log-odds of a beat length, summed over windows, whatever the rotation in each of them."""
    total = 0.0
    for start, stop in pattern_windows(onsets):
        position = np.arange(stop - start) / period
        total += float(np.logaddexp.reduce(metre.scores(onsets, start, stop, position, period / _RATE)))
    return total
