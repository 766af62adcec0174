"""Where each beat falls."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter1d, uniform_filter1d

from server.analyzer import envelope, metre, onset, tempo

_RATE = onset.FRAMES_PER_SECOND
_TIGHTNESS = 300.0
_STEADY_WITHIN = 0.025  # s
_STEADY_SHARE = 0.85
_PATTERN_BEATS = 32

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Beats:
    """`times` in seconds, rising. `steady` when they are an exact grid, as in music made with a sequencer.

    `consistency` is the share of beats at which something audibly begins, 0–1.
    """

    times: Array
    tempo: float
    steady: bool
    consistency: float


def track(onsets: onset.Onsets, found: tempo.Tempo, audible: tuple[float, float], heard: envelope.Envelope) -> Beats:
    """Follows the beat through the recording, then snaps it to a grid where one fits.

    `audible` is the stretch in seconds within which beats are wanted.
    """
    raise NotImplementedError
