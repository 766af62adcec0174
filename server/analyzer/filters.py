"""The few routines of scipy that the analysis needs, with types, since scipy ships none."""

from typing import Literal

import numpy as np
from scipy import fft, ndimage, signal

from server.analyzer.arrays import Array


def butterworth(order: int, edges: float | tuple[float, float], kind: str, rate: int) -> Array:
    """Second-order sections of a `lowpass`, `highpass` or `bandpass` filter; edges and rate in Hz."""
    return np.asarray(signal.butter(order, edges, kind, fs=rate, output="sos"))  # type: ignore[attr-defined]


def filtered(sections: Array, samples: Array, state: Array) -> tuple[Array, Array]:
    """Filters along the last axis; returns the output and the state to go on with."""
    output, state = signal.sosfilt(sections, samples, axis=-1, zi=state)  # type: ignore[attr-defined]
    return output, state


def moving_mean(values: Array, size: int, axis: int = -1, mode: Literal["constant", "nearest"] = "nearest") -> Array:
    """The mean of `size` values around each; beyond the ends lie zeros (`constant`) or the last value."""
    return np.asarray(ndimage.uniform_filter1d(values, size, axis=axis, mode=mode))  # type: ignore[attr-defined]


def mean_ahead(values: Array, size: int, axis: int) -> Array:
    """The mean of each value and the size - 1 that follow it along an axis."""
    return np.asarray(
        ndimage.uniform_filter1d(values, size, axis=axis, mode="nearest", origin=-(size // 2))  # type: ignore[attr-defined]
    )


def moving_max(values: Array, size: int) -> Array:
    return np.asarray(ndimage.maximum_filter1d(values, size))  # type: ignore[attr-defined]


def moving_median(values: Array, shape: tuple[int, ...]) -> Array:
    """The median of a box around each value."""
    return np.asarray(ndimage.median_filter(values, size=shape, mode="nearest"))  # type: ignore[attr-defined]


def fast_length(at_least: int) -> int:
    """A length whose Fourier transform is fast."""
    return int(fft.next_fast_len(at_least, real=True))  # type: ignore[no-untyped-call]
