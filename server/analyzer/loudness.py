"""Programme loudness as ITU-R BS.1770-4 and EBU Tech 3341/3342 define it."""

from dataclasses import dataclass

import numpy as np

from server.analyzer import filters
from server.analyzer.arrays import Array, Samples

SILENCE = -70.0
"""LUFS. The absolute gate of BS.1770-4; also reported for programmes that never pass it."""

_OFFSET = -0.691  # dB, so that a 997 Hz sine at 0 dBFS in one front channel reads -3.01 LUFS
_STEPS_PER_SECOND = 10
_GATING_STEPS = 4  # 400 ms blocks that overlap by 75 %
_SHORT_TERM_STEPS = 30
_SURROUND = {"BL", "BR", "SL", "SR", "BC"}


@dataclass(frozen=True)
class Loudness:
    """`integrated` in LUFS, `range` in LU (Tech 3342), `peak` and `rms` of the unweighted samples in dBFS."""

    integrated: float
    range: float
    peak: float
    rms: float


def k_weighting(rate: int) -> Array:
    """Second-order sections (2, 6) of the K filter at a sample rate in Hz.

    BS.1770-4 tabulates them at 48 kHz only. The analogue parameters behind that table give it back at 48 kHz, and
    carry it to other rates by the bilinear transform.
    """
    shelf_hz, shelf_gain, shelf_q = 1681.974450955533, 3.999843853973347, 0.7071752369554196
    k = np.tan(np.pi * min(shelf_hz / rate, 0.49))
    high, band = 10 ** (shelf_gain / 20), 10 ** (shelf_gain / 20 * 0.4996667741545416)
    norm = 1 + k / shelf_q + k * k
    shelf = [
        (high + band * k / shelf_q + k * k) / norm,
        2 * (k * k - high) / norm,
        (high - band * k / shelf_q + k * k) / norm,
        1.0,
        2 * (k * k - 1) / norm,
        (1 - k / shelf_q + k * k) / norm,
    ]
    cut_hz, cut_q = 38.13547087602444, 0.5003270373238773
    k = np.tan(np.pi * cut_hz / rate)
    norm = 1 + k / cut_q + k * k
    cut = [1.0, -2.0, 1.0, 1.0, 2 * (k * k - 1) / norm, (1 - k / cut_q + k * k) / norm]
    return np.array([shelf, cut])


def channel_weight(channel: str) -> float:
    """BS.1770-4 table 3: surround channels count 1.5 dB more, the low-frequency effects channel not at all."""
    if channel.startswith("LFE"):
        return 0.0
    return 1.41 if channel in _SURROUND else 1.0


class Meter:
    """Takes (channels, n) blocks in order; holds ten numbers for each second heard."""

    def __init__(self, rate: int, channels: tuple[str, ...]) -> None:
        self._rate = rate
        self._weights = np.array([channel_weight(channel) for channel in channels])
        self._sections = k_weighting(rate)
        self._state: Array = np.zeros((2, len(channels), 2))
        self._steps: list[Array] = []
        self._rest: Array = np.empty(0)
        self._position = 0
        self._peak = 0.0
        self._squares, self._count = 0.0, 0

    def feed(self, block: Samples) -> None:
        self._peak = max(self._peak, float(np.abs(block).max(initial=0)))
        self._squares += float(np.einsum("cn,cn->", block, block, dtype=np.float64))
        self._count += block.size
        weighted, self._state = filters.filtered(self._sections, block, self._state)
        power = np.concatenate([self._rest, np.einsum("c,cn,cn->n", self._weights, weighted, weighted)])
        start = self._position
        first = start * _STEPS_PER_SECOND // self._rate
        last = (start + power.size) * _STEPS_PER_SECOND // self._rate
        # A step is a tenth of a second, which isn't a whole number of samples at every rate.
        bounds = -(-np.arange(first, last + 1) * self._rate // _STEPS_PER_SECOND) - start
        if last > first:
            sums = np.add.reduceat(power[: bounds[-1]], bounds[:-1])
            self._steps.append(sums / np.diff(bounds))
        self._rest = power[bounds[-1] :]
        self._position = start + int(bounds[-1])

    def finish(self) -> Loudness:
        steps = np.concatenate(self._steps) if self._steps else np.empty(0)
        return Loudness(
            _integrated(steps), _range(steps), _decibel(self._peak**2), _decibel(self._squares / max(self._count, 1))
        )


def _decibel(power: float) -> float:
    return float(max(10 * np.log10(max(power, 1e-30)), -120.0))


def _lufs(power: Array) -> Array:
    return _OFFSET + 10 * np.log10(np.maximum(power, 1e-30))


def _moving_mean(steps: Array, width: int) -> Array:
    if steps.size < width:
        return np.empty(0)
    return np.convolve(steps, np.ones(width) / width, "valid")


def _integrated(steps: Array) -> float:
    """Gated twice: at -70 LUFS, then 10 LU below the mean of what is left. Clips under 400 ms count as one block."""
    blocks = _moving_mean(steps, min(_GATING_STEPS, max(steps.size, 1)))
    blocks = blocks[_lufs(blocks) > SILENCE]
    if not blocks.size:
        return SILENCE
    blocks = blocks[_lufs(blocks) > _lufs(blocks.mean()) - 10]
    return float(_lufs(blocks.mean()))


def _range(steps: Array) -> float:
    """Tech 3342: the spread from the 10th to the 95th percentile of the short-term loudness, gated at -20 LU."""
    short_term = _moving_mean(steps, _SHORT_TERM_STEPS)
    short_term = short_term[_lufs(short_term) > SILENCE]
    if not short_term.size:
        return 0.0
    levels = _lufs(short_term[_lufs(short_term) > _lufs(short_term.mean()) - 20])
    low, high = np.percentile(levels, [10, 95])
    return float(high - low)
