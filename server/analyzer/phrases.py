"""Where phrases of eight bars begin."""

import numpy as np

from server.analyzer import filters, onset
from server.analyzer.arrays import Array, Flags

BARS = 8
_CONTEXT_BARS = 4
_CLEAR = 1.25
"""How many times more the music must change at another bar than at the first, to say that it opens with an upbeat."""


def first(onsets: onset.Onsets, times: Array, first_of_bar: Flags) -> int:
    """The index of the beat that begins the first phrase.

    Music changes most, in what sounds and how loud, every eighth bar; the bar number modulo eight with the greatest
    sum of changes is taken to begin phrases. Without clear evidence it is the first whole bar.
    """
    bars = np.flatnonzero(first_of_bar)
    if not bars.size:
        return 0
    change = novelty(onsets, times[bars])
    sums = np.array([change[number::BARS].sum() for number in range(BARS)])
    best = int(np.argmax(sums))
    if best >= bars.size or sums[best] <= _CLEAR * sums[0]:
        best = 0
    return int(bars[best])


def novelty(onsets: onset.Onsets, bar_times: Array) -> Array:
    """At each bar, how far the mean timbre of the next four bars lies from that of the last four, where that peaks."""
    if bar_times.size < 2 or not onsets.timbre.shape[0]:
        return np.zeros(bar_times.size)
    context = max(1, round(float(np.median(np.diff(bar_times))) * _CONTEXT_BARS / onsets.timbre_seconds))
    padded = np.pad(onsets.timbre.astype(np.float64), ((context, context), (0, 0)), mode="edge")
    mean = filters.mean_ahead(padded, context, axis=0)
    place = np.clip(np.rint(bar_times / onsets.timbre_seconds).astype(np.int64), 0, onsets.timbre.shape[0] - 1)
    change = np.linalg.norm(mean[place + context] - mean[place], axis=1)
    # Near either end one side is padding or silence.
    change[:_CONTEXT_BARS] = 0
    change[-_CONTEXT_BARS:] = 0
    return np.where(change == filters.moving_max(change, 2 * _CONTEXT_BARS - 1), change, 0)
