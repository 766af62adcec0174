"""Where the energy of the spectrum lies, averaged over a recording."""

from dataclasses import dataclass

import numpy as np

from server.analyzer import spectrum
from server.analyzer.arrays import Array

_AUDIBLE = 1e-6  # summed power of a frame, -60 dBFS
_ROLLOFF_SHARE = 0.85


@dataclass(frozen=True)
class Brightness:
    """`centroid` and `rolloff` (85 % of the power lies below it) in Hz; `flatness` 0 (a tone) to 1 (white noise)."""

    centroid: float
    rolloff: float
    flatness: float


class Listener:
    """Takes power spectra of windows of one size."""

    def __init__(self, window: int, rate: int) -> None:
        self._hertz = spectrum.bin_hertz(window, rate).astype(np.float32)
        self._sums = np.zeros(3)
        self._weight = 0.0

    def hear(self, power: Array) -> None:
        """Each frame counts by its amplitude."""
        total = power.sum(axis=1)
        power, total = power[total > _AUDIBLE], total[total > _AUDIBLE]
        if not total.size:
            return
        rolloff = self._hertz[np.argmax(np.cumsum(power, axis=1) >= _ROLLOFF_SHARE * total[:, None], axis=1)]
        flatness = np.exp(np.log(power + 1e-20).mean(axis=1)) / (total / power.shape[1])
        weight = np.sqrt(total)
        self._sums += np.array([weight @ (power @ self._hertz / total), weight @ rolloff, weight @ flatness])
        self._weight += float(weight.sum())

    def finish(self) -> Brightness:
        centroid, rolloff, flatness = (self._sums / max(self._weight, 1e-12)).tolist()
        return Brightness(centroid, rolloff, min(flatness, 1.0))
