"""The beats and bars of a recording, in seconds."""

from dataclasses import dataclass

import numpy as np

from server.analyzer import align, downbeats, envelope, filters, metre, onset, phrases, pulse, tempo, tonal
from server.analyzer.arrays import Array, Flags

_RATE = onset.FRAMES_PER_SECOND
_EDGE_TOLERANCE = 0.06  # s; how far outside the audible stretch a beat may lie
_HEARD_WITHIN = 0.04  # s
_HEARD_SHARE = 0.25  # of the typical onset's strength


@dataclass(frozen=True)
class Beats:
    """`times` in seconds, rising; `first_of_bar` tells which of them are downbeats.

    `tempo` in beats a minute. `steady`: the times are an exact grid, as in music made with a sequencer.
    `consistency` 0–1: the share of beats at which something audibly begins. `first_phrase` is the index in `times`
    at which the first phrase of eight bars begins.
    """

    times: Array
    first_of_bar: Flags
    tempo: float
    steady: bool
    consistency: float
    first_phrase: int

    @property
    def downbeats(self) -> Array:
        return self.times[self.first_of_bar]


def find(
    onsets: onset.Onsets, notes: tonal.Notes, heard: envelope.Envelope, audible: tuple[float, float]
) -> Beats | None:
    """Beats within the `audible` stretch (seconds); None where nothing repeats."""
    found = tempo.find(onsets)
    if found is None:
        return None
    follower = pulse.follow(onsets, found)
    begins = int(np.argmax(downbeats.rotations(onsets, notes, follower, audible[0])))
    beats = _settled(follower, begins, heard, audible)
    first_of_bar = downbeats.first_of_bars(onsets, notes, beats, audible[0])
    times = beats.frames / _RATE
    inside = (times >= audible[0] - _EDGE_TOLERANCE) & (times < audible[1] - _EDGE_TOLERANCE)
    inside &= times > -_HEARD_WITHIN
    if inside.sum() < 2:
        return None
    times, first_of_bar = np.maximum(times[inside], 0), first_of_bar[inside]
    per_minute = 60 * _RATE / beats.period
    consistency = _consistency(onsets, times)
    first_phrase = phrases.first(onsets, times, first_of_bar)
    return Beats(times, first_of_bar, per_minute, follower.steady, consistency, first_phrase)


def _settled(follower: pulse.Pulse, begins: int, heard: envelope.Envelope, audible: tuple[float, float]) -> pulse.Pulse:
    """Moves pulses onto the beats: by part of a beat as the metre says, then onto the exact attacks."""
    sixteenths = begins % (metre.ROTATIONS // 4)
    if not follower.steady:
        # These pulses lie on onsets already, so they are off by whole sixteenth notes or not at all.
        sixteenths = round(sixteenths / 4) * 4
    place = np.arange(follower.frames.size - 1) + sixteenths / 16
    frames = follower.at(place)
    times = frames / _RATE
    sounding = times[(times >= audible[0] - _EDGE_TOLERANCE) & (times < audible[1])]
    reach = follower.period / _RATE / 16 + 0.01 if follower.steady else 0.03
    frames = frames + align.attack_offset(sounding, heard, reach) * _RATE
    return pulse.Pulse(frames, follower.steady)


def _consistency(onsets: onset.Onsets, times: Array) -> float:
    near = filters.moving_max(onsets.all, 2 * round(_HEARD_WITHIN * _RATE) + 1)
    at_beats = near[np.minimum(np.rint(times * _RATE).astype(np.int64), near.size - 1)]
    typical = np.percentile(at_beats, 75)
    return float(np.mean(at_beats > _HEARD_SHARE * typical)) if typical > 0 else 0.0
