"""Exact onset times from the fine envelopes."""

import numpy as np

from server.analyzer import envelope
from server.analyzer.arrays import Array

_FLOOR = 1e-3  # of a band's mean power
_SMOOTH_FRAMES = 3


def attack_offset(times: Array, heard: envelope.Envelope, reach: float) -> float:
    """By how many seconds, at most `reach`, the sounds at `times` begin later than that (negative: earlier).

    It is where the level, averaged over all times, climbs fastest.
    """
    margin = int(np.ceil(reach * envelope.FRAMES_PER_SECOND)) + _SMOOTH_FRAMES + 1
    centres = np.rint(times * envelope.FRAMES_PER_SECOND).astype(np.int64)
    centres = centres[(centres > margin) & (centres < heard.frames - margin)]
    if not centres.size:
        return 0.0
    around = centres[:, None] + np.arange(-margin, margin + 1)
    climb = np.zeros(2 * margin)
    for power in heard.power:
        level = np.log(power[around] + _FLOOR * power.mean() + 1e-12).mean(axis=0)
        climb += np.maximum(np.diff(level), 0)
    kernel = np.ones(_SMOOTH_FRAMES) / _SMOOTH_FRAMES
    climb = np.convolve(climb, kernel, "same")
    shifts = (np.arange(-margin, margin) + 0.5) / envelope.FRAMES_PER_SECOND
    inside = np.abs(shifts) <= reach
    if not climb[inside].any():
        return 0.0
    return float(shifts[inside][np.argmax(climb[inside])])
