"""Cutting a stream of samples into overlapping windows, and their power spectra."""

import numpy as np
from scipy.fft import rfft

from server.analyzer.arrays import Array, Samples


class Windows:
    """Hann-windowed power spectra of a mono stream; spectrum i is centred on sample i * hop.

    Scaled so that a sine of amplitude 1 has power 1 at its peak. The stream is preceded and followed by silence.
    """

    def __init__(self, size: int, hop: int) -> None:
        self.size, self.hop = size, hop
        taper = np.hanning(size + 1)[:-1]
        self._taper = (taper * 2 / taper.sum()).astype(np.float32)
        self._rest: Samples = np.zeros(size // 2, np.float32)
        self._heard = False

    def feed(self, block: Samples) -> Array:
        """The power spectra (frames, size // 2 + 1) that the block completes, perhaps none."""
        self._heard = self._heard or block.size > 0
        joined = np.concatenate([self._rest, block])
        frames = max(0, (joined.size - self.size) // self.hop + 1)
        self._rest = joined[frames * self.hop :]
        if not frames:
            return np.empty((0, self.size // 2 + 1), np.float32)
        cut = np.lib.stride_tricks.sliding_window_view(joined, self.size)[:: self.hop][:frames]
        # In portions that stay in the cache, which halves the time.
        portion = max(1, (1 << 19) // self.size)
        return np.concatenate([self._power(cut[n : n + portion]) for n in range(0, frames, portion)])

    def finish(self) -> Array:
        return self.feed(np.zeros(self.size // 2, np.float32)) if self._heard else self.feed(np.empty(0, np.float32))

    def _power(self, frames: Array) -> Array:
        spectrum = rfft(frames * self._taper, axis=1)
        power: Array = np.square(spectrum.real)
        power += np.square(spectrum.imag)
        return power


def bin_hertz(size: int, rate: int) -> Array:
    return np.fft.rfftfreq(size, 1 / rate)
