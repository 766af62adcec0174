"""How right an analysis is, by the rules the accuracy figures follow."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from server.analyzer import listening

from .tracks import Track

TEMPO_WITHIN = 0.005
BEAT_WITHIN = 0.025  # s


@dataclass(frozen=True)
class Grade:
    """`tempo` and `key` right or wrong (another octave or a relative key is wrong); `beats`, `downbeats`: the share
    of the true ones that have one found within 25 ms; `precision`: the share of found beats that are true."""

    tempo: bool
    beats: float
    downbeats: float
    precision: float
    key: bool


def grade(heard: listening.Heard, truth: Track) -> Grade:
    beats, key = heard.beats, heard.key
    wanted = truth.description
    return Grade(
        tempo=beats is not None and abs(beats.tempo / wanted.tempo - 1) <= TEMPO_WITHIN,
        beats=share_near(truth.beats, beats.times) if beats else 0.0,
        downbeats=share_near(truth.downbeats, beats.downbeats) if beats else 0.0,
        precision=share_near(beats.times, truth.beats) if beats else 0.0,
        key=key is not None and (key.tonic, key.mode_name) == (wanted.tonic, wanted.mode),
    )


def share_near(wanted: NDArray[np.floating], found: NDArray[np.floating]) -> float:
    """The share of wanted times that have a found one within 25 ms."""
    if not wanted.size or not found.size:
        return 0.0
    distance = np.abs(np.asarray(wanted)[:, None] - np.asarray(found)[None, :]).min(axis=1)
    return float(np.mean(distance <= BEAT_WITHIN))
