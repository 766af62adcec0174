"""How strongly new sounds begin at each moment: one curve each for kicks, noise bursts, hats, and anything."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from server.analyzer import envelope, filters, spectrum
from server.analyzer.arrays import Array

WINDOW, HOP = 1024, 128
FRAMES_PER_SECOND = envelope.RATE / HOP
"""172.27, so a frame is 5.8 ms."""

_EDGES_HZ = (
    *(30, 75, 118, 160, 205, 250),
    *(340, 450, 600, 800, 1050, 1400, 1850, 2400, 3100),
    *(4000, 5000, 6200, 7600, 9200, 10800),
)
_LOW, _MIDDLE, _HIGH = slice(0, 5), slice(5, 14), slice(15, 20)
_FAINT = 10 ** (-65 / 10)
"""Power against a full-scale sine below which a bin's level counts as linear rather than logarithmic, so that hiss
and dither have no onsets."""
_BODY = np.float32(15 / 10 * np.log(10))
"""15 dB above that begins what counts as a snare's body: hats reach down there too, but faintly."""
_RISE_FRAMES = 2
_SMOOTH_FRAMES = 7
_LOCAL_FRAMES = 345
_TIMBRE_FRAMES = 32


@dataclass(frozen=True)
class Onsets:
    """Curves over frames of 5.8 ms, each 0 where nothing begins.

    `low`: most of 30–250 Hz rises at once, as a kick does and a bass note less so. `noise`: the valleys between
    partials rise too, from 250 Hz up to 10 kHz, as with snares and claps but not with chords. `high`: hats. `all`: any
    rise. `timbre` is the mean level per band, float32 (n, 20), every `timbre_seconds`.
    """

    low: Array
    noise: Array
    high: Array
    all: Array
    timbre: Array
    timbre_seconds: float = _TIMBRE_FRAMES / FRAMES_PER_SECOND

    @property
    def frames(self) -> int:
        return self.all.size


def windows() -> spectrum.Windows:
    """46 ms every 5.8 ms, of mono samples at `envelope.RATE`."""
    return spectrum.Windows(WINDOW, HOP)


class Listener:
    """Takes the spectra of `windows()`; holds 18 bytes a frame."""

    def __init__(self) -> None:
        self._bands = _band_means()
        self._before = np.zeros((_RISE_FRAMES, len(_EDGES_HZ) - 1), np.float32)
        self._rises: list[Array] = []
        self._rest = np.empty((0, len(_EDGES_HZ) - 1), np.float32)
        self._timbre: list[Array] = []

    def hear(self, power: Array) -> None:
        if not power.shape[0]:
            return
        levels = np.log1p(power * np.float32(1 / _FAINT)) @ self._bands
        joined = np.concatenate([self._before, levels])
        self._before = joined[-_RISE_FRAMES:]
        rise = np.maximum(joined[_RISE_FRAMES:] - joined[:-_RISE_FRAMES], 0)
        low = np.sort(rise[:, _LOW], axis=1)[:, 2]
        high = np.sort(rise[:, _HIGH], axis=1)[:, 2]
        body = np.maximum(joined[:, _MIDDLE] - _BODY, 0)
        # The fourth lowest of nine bands: a chord leaves some of them unmoved, noise doesn't.
        middle = np.sort(np.maximum(body[_RISE_FRAMES:] - body[:-_RISE_FRAMES], 0), axis=1)[:, 3]
        self._rises.append(np.stack([low, np.sqrt(middle * high), high, rise.mean(axis=1)], axis=1))
        self._gather_timbre(levels)

    def finish(self) -> Onsets:
        rises = np.concatenate(self._rises) if self._rises else np.empty((0, 4), np.float32)
        timbre = np.concatenate(self._timbre) if self._timbre else self._rest[:0]
        low, noise, high, everything = (_peaks(rises[:, n]) for n in range(4))
        return Onsets(low, noise, high, everything, timbre)

    def _gather_timbre(self, levels: Array) -> None:
        joined = np.concatenate([self._rest, levels])
        whole = joined.shape[0] // _TIMBRE_FRAMES * _TIMBRE_FRAMES
        self._timbre.append(joined[:whole].reshape(-1, _TIMBRE_FRAMES, levels.shape[1]).mean(axis=1))
        self._rest = joined[whole:]


def _band_means() -> Array:
    """A matrix (bins, bands) that averages the bins of each band."""
    hertz = spectrum.bin_hertz(WINDOW, envelope.RATE)
    inside = [(hertz >= low) & (hertz < high) for low, high in pairwise(_EDGES_HZ)]
    return np.stack([bins / bins.sum() for bins in inside], axis=1).astype(np.float32)


def _peaks(rise: Array) -> Array:
    """Smooths over 40 ms and keeps what exceeds the mean of the two seconds around."""
    if not rise.size:
        return np.zeros(0)
    kernel = np.hanning(_SMOOTH_FRAMES + 2)[1:-1]
    smooth = np.convolve(rise.astype(np.float64), kernel / kernel.sum(), "same")
    return np.maximum(smooth - filters.moving_mean(smooth, _LOCAL_FRAMES, mode="constant"), 0)
