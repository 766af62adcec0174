"""Fine envelopes of three frequency bands: the stuff of waveform pictures and of exact onset times."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, sosfilt

from server.analyzer.decode import Samples

RATE = 22050
"""Hz. The sample rate of all analysis but loudness."""
FRAME = 32
"""Samples a frame, 1.45 ms: shorter than a pixel of the finest waveform of any track over 24 s."""
FRAMES_PER_SECOND = RATE / FRAME
BANDS = ("low", "mid", "high")
EDGES_HZ = (180.0, 3500.0)
"""Kick and bass below, snare, voice and chords between, hats and air above."""
_GROUP_DELAY_FRAMES = (1, 0, 0)


@dataclass(frozen=True)
class Envelope:
    """`peak` (largest absolute sample) and `power` (mean square), each float32 (3, frames), low band first."""

    peak: NDArray[np.float32]
    power: NDArray[np.float32]

    @property
    def frames(self) -> int:
        return self.peak.shape[1]


class Follower:
    """Takes mono blocks at `RATE`; holds 24 bytes a frame."""

    def __init__(self) -> None:
        low, high = EDGES_HZ
        self._filters = (
            butter(3, low, "lowpass", fs=RATE, output="sos"),
            butter(1, (low, high), "bandpass", fs=RATE, output="sos"),
            butter(3, high, "highpass", fs=RATE, output="sos"),
        )
        self._states = [np.zeros((sections.shape[0], 2)) for sections in self._filters]
        self._rest: Samples = np.empty(0, np.float32)
        self._peaks: list[NDArray[np.float32]] = []
        self._powers: list[NDArray[np.float32]] = []

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
            heard, self._states[band] = sosfilt(sections, block, zi=self._states[band])
            frames = heard.reshape(-1, FRAME)
            peaks[band] = np.maximum(frames.max(axis=1), -frames.min(axis=1))
            powers[band] = np.einsum("fs,fs->f", frames, frames) / FRAME
        self._peaks.append(peaks)
        self._powers.append(powers)
