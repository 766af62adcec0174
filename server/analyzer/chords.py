"""The chord that sounds in each frame: one of the 24 major and minor triads."""

from dataclasses import dataclass

import numpy as np

from server.analyzer import tonal
from server.analyzer.arrays import Array, Flags, Numbers

TRIADS = 24
"""Numbered 0–11 major from C, 12–23 minor from C; the keys are numbered the same."""

_TREBLE, _BASS = (45, 84), (28, 50)  # MIDI
_BASS_SHARE = 0.09
_CHANGE_COST = 0.6  # against frame scores of at most about 1: a chord must last some three frames to be one
_QUIET = 0.1  # of the loud frames' strength


@dataclass(frozen=True)
class Chords:
    """`triad` and `sounding` (whether there is harmony enough to tell) for each tonal frame."""

    triad: Numbers
    sounding: Flags

    @property
    def heard(self) -> Numbers:
        return self.triad[self.sounding]


def recognise(notes: tonal.Notes) -> Chords:
    """Matches each frame's chroma to the triads and keeps the best path with few changes (Viterbi)."""
    treble, bass = notes.chroma(*_TREBLE), notes.chroma(*_BASS)
    strength = np.linalg.norm(treble, axis=1)
    if not strength.any():
        return Chords(np.zeros(strength.size, np.int64), np.zeros(strength.size, np.bool_))
    sounding = strength > _QUIET * np.percentile(strength, 90)
    scores = (treble / (strength[:, None] + 1e-9)) @ _templates().T
    scores += _BASS_SHARE * np.tile(bass / (bass.max(axis=1, keepdims=True) + 1e-9), 2)
    scores *= np.minimum(strength / np.median(strength[sounding]), 1)[:, None]
    return Chords(_best_path(scores), sounding)


def _templates() -> Array:
    templates: Array = np.zeros((TRIADS, 12))
    for triad in range(TRIADS):
        root, third = triad % 12, 4 - triad // 12
        templates[triad, root] = 1.0
        templates[triad, [(root + third) % 12, (root + 7) % 12]] = 0.9
    return np.asarray(templates / np.linalg.norm(templates, axis=1, keepdims=True))


def _best_path(scores: Array) -> Numbers:
    frames, states = scores.shape
    came_from = np.empty((frames, states), np.int64)
    total = scores[0].copy()
    stay = np.arange(states)
    for frame in range(1, frames):
        best = int(np.argmax(total))
        moved = total[best] - _CHANGE_COST > total
        came_from[frame] = np.where(moved, best, stay)
        total = np.where(moved, total[best] - _CHANGE_COST, total) + scores[frame]
    path = np.empty(frames, np.int64)
    path[-1] = np.argmax(total)
    for frame in range(frames - 1, 0, -1):
        path[frame - 1] = came_from[frame, path[frame]]
    return path
