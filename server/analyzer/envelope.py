"""Fine envelopes of three frequency bands: the stuff of waveform pictures and of exact onset times."""

from dataclasses import dataclass

import numpy as np

from server.analyzer import filters
from server.analyzer.arrays import Array, Samples

RATE = 22050
"""Hz. The sample rate of all analysis but loudness."""
FRAME = 32
"""Samples a frame, 1.45 ms: shorter than a pixel of the finest waveform of any track over 24 s."""
FRAMES_PER_SECOND = RATE / FRAME
BANDS = ("low", "mid", "high")
EDGES_HZ = (180.0, 3500.0)
"""Kick and bass below, snare, voice and chords between, hats and air above."""


@dataclass(frozen=True)
class Envelope:
    """`peak` (largest absolute sample) and `power` (mean square), each float32 (3, frames), low band first."""

    peak: Array
    power: Array

    @property
    def frames(self) -> int:
        return int(self.peak.shape[1])


class Follower:
    """Takes mono blocks at `RATE`; holds 24 bytes a frame."""

    def __init__(self) -> None:
        low, high = EDGES_HZ
        self._filters = (
            filters.butterworth(3, low, "lowpass", RATE),
            filters.butterworth(1, (low, high), "bandpass", RATE),
            filters.butterworth(3, high, "highpass", RATE),
        )
        self._states: list[Array] = [np.zeros((sections.shape[0], 2)) for sections in self._filters]
        self._rest: Samples = np.empty(0, np.float32)
        self._peaks: list[Array] = []
        self._powers: list[Array] = []

    def feed(self, block: Samples) -> None:
        joined = np.concatenate([self._rest, block])
        whole = joined.size // FRAME * FRAME
        self._rest = joined[whole:]
        if whole:
            self._measure(joined[:whole])

    def finish(self) -> Envelope:
        if self._rest.size:
            self._measure(np.pad(self._rest, (0, FRAME - self._rest.size)))
        if not self._peaks:
            return Envelope(np.zeros((3, 0), np.float32), np.zeros((3, 0), np.float32))
        return Envelope(np.concatenate(self._peaks, axis=1), np.concatenate(self._powers, axis=1))

    def _measure(self, block: Samples) -> None:
        peaks = np.empty((3, block.size // FRAME), np.float32)
        powers = np.empty_like(peaks)
        for band, sections in enumerate(self._filters):
            heard, self._states[band] = filters.filtered(sections, block, self._states[band])
            frames = heard.reshape(-1, FRAME)
            peaks[band] = np.maximum(frames.max(axis=1), -frames.min(axis=1))
            powers[band] = np.einsum("fs,fs->f", frames, frames) / FRAME
        self._peaks.append(peaks)
        self._powers.append(powers)
