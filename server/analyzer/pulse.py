"""Following the beat through a recording: an exact grid where one fits, else beat by beat."""

from dataclasses import dataclass

import numpy as np
from scipy.fft import irfft, rfft

from server.analyzer import onset, tempo
from server.analyzer.arrays import Array, Numbers

_RATE = onset.FRAMES_PER_SECOND
_STEADY_WITHIN = 0.015  # s
_STEADY_SHARE = 0.6
_STEADY_CLARITY = 0.4
_FARTHEST_PENALTY = 0.3
_LOCAL_WINDOW = int(12 * _RATE)
_LOCAL_HOP = int(4 * _RATE)
_LOCAL_STEP = 0.01
_DRIFT_COST, _JUMP_COST = 0.04, 0.3
_TIGHTNESS = 40.0
_SMOOTH_BEATS, _STRAY = 8, 0.012  # beats to either side, s


@dataclass(frozen=True)
class Pulse:
    """`frames` are the onset frames of successive beats, fractional; which beat begins a bar isn't known yet, nor
    even that they aren't all off by a part of a beat. They reach at least over the whole recording."""

    frames: Array
    steady: bool

    @property
    def period(self) -> float:
        """Frames a beat, in the typical stretch of 16 beats."""
        span = min(16, self.frames.size - 1)
        return float(np.median(self.frames[span:] - self.frames[:-span])) / span

    def position(self, frames: Array) -> Array:
        """Beats passed since the first pulse."""
        return np.interp(frames, self.frames, np.arange(self.frames.size))

    def at(self, position: Array) -> Array:
        """The frames at which so many beats have passed."""
        return np.interp(position, np.arange(self.frames.size), self.frames)


def follow(onsets: onset.Onsets, found: tempo.Tempo) -> Pulse:
    curve = _normal(onsets.low) + _normal(onsets.noise) + _normal(onsets.all)
    period, steady = _steady_period(curve, found.period)
    if steady:
        return Pulse(np.arange(-2, curve.size / period + 3) * period, steady=True)
    beats = _best_beats(curve, _local_periods(curve, found.period))
    return Pulse(_extended(_smoothed(beats), curve.size), steady=False)


def _normal(curve: Array) -> Array:
    size = float(np.sqrt(np.mean(curve**2)))
    return curve / size if size > 0 else curve


def _steady_period(curve: Array, period: float) -> tuple[float, bool]:
    """Refines the period until windows of the recording line up, and tells whether they do."""
    width = int(np.clip(curve.size // 5, 6 * _RATE, 16 * _RATE))
    starts = np.arange(0, max(1, curve.size - width // 2), width)
    spans = [(start, min(start + width, curve.size)) for start in starts.tolist()]
    heard = np.array([curve[start:stop].std() for start, stop in spans])
    if not heard.any():
        return period, True
    centres = starts + width / 2
    bars: Array = np.zeros((0, 0))
    offsets: Array = np.zeros(starts.size)
    for _ in range(4):
        bars = np.array([_fold(curve, start, stop, period) for start, stop in spans])
        offsets = _offsets(bars, period)
        if starts.size < 3:
            break
        slope = _robust_slope(centres, offsets, heard)
        if abs(slope) > 0.01:
            return period, False
        period *= 1 + slope
        offsets = offsets - slope * centres
    clarity = np.linalg.norm(bars, axis=1) / np.maximum(heard, 1e-9)
    agrees = np.abs(offsets - _weighted_median(offsets, heard)) < _STEADY_WITHIN * _RATE
    agrees &= clarity > _STEADY_CLARITY * clarity.max()
    # A breakdown without drums may stray in the middle; after a real change of tempo the end doesn't come back.
    edge = -(-starts.size // 4)
    returns = agrees[:edge].any() and agrees[-edge:].any()
    return period, bool(returns and heard[agrees].sum() >= _STEADY_SHARE * heard.sum())


def _fold(curve: Array, start: int, stop: int, period: float) -> Array:
    """The mean course of a bar of four periods, less its mean, in bins of about a frame."""
    bins = max(8, round(4 * period))
    place = np.arange(start, stop) / (4 * period) % 1 * bins
    left = place.astype(np.int64) % bins
    part = place - np.floor(place)
    bar = np.bincount(left, curve[start:stop] * (1 - part), bins)
    bar += np.bincount((left + 1) % bins, curve[start:stop] * part, bins)
    return np.asarray(bar - bar.mean())


def _offsets(bars: Array, period: float) -> Array:
    """By how many frames each bar lies later than the others, within half a beat of its neighbour."""
    # Not compared with their plain sum at once: out of phase, they would all find themselves in it.
    clearest = bars[np.argmax(np.linalg.norm(bars, axis=1))]
    rough = _shifts(bars, clearest, period)
    aligned = [np.roll(bar, -round(shift)) for bar, shift in zip(bars, rough, strict=True)]
    return np.asarray(np.unwrap(_shifts(bars, np.sum(aligned, axis=0), period), period=period))


def _shifts(bars: Array, reference: Array, period: float) -> Array:
    size = bars.shape[1]
    likeness = irfft(rfft(bars, axis=1) * np.conj(rfft(reference)), size, axis=1)
    reach = int(period / 2)
    shifts = np.arange(-reach, reach + 1)
    near = likeness[:, shifts % size] * (1 - _FARTHEST_PENALTY * np.abs(shifts) / max(reach, 1))
    best = np.clip(np.argmax(near, axis=1), 1, shifts.size - 2)
    rows = np.arange(bars.shape[0])
    before, top, after = (near[rows, best + step] for step in (-1, 0, 1))
    bend = np.minimum(before - 2 * top + after, -1e-12)
    return np.asarray((shifts[best] + np.clip(0.5 * (before - after) / bend, -0.5, 0.5)) * (4 * period / size))


def _robust_slope(times: Array, offsets: Array, weights: Array) -> float:
    """Theil and Sen's median of the slopes between all pairs, each weighted by what it spans."""
    first, second = np.triu_indices(times.size, 1)
    spans = times[second] - times[first]
    slopes = (offsets[second] - offsets[first]) / spans
    return _weighted_median(slopes, spans * weights[first] * weights[second])


def _weighted_median(values: Array, weights: Array) -> float:
    order = np.argsort(values)
    passed = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(passed, passed[-1] / 2)])


def _local_periods(curve: Array, period: float) -> Array:
    """The beat length around each frame: the best path through autocorrelations of 12 s windows.

    Drift is cheap; a jump, as where a mix goes on with another record, has a fixed price.
    """
    tempos = np.arange(np.log(tempo.SLOWEST), np.log(tempo.FASTEST), _LOCAL_STEP)
    periods = 60 * _RATE / np.exp(tempos)
    starts = np.arange(0, max(1, curve.size - _LOCAL_WINDOW // 2), _LOCAL_HOP)
    away = np.abs(tempos - np.log(60 * _RATE / period))
    strengths = []
    for start in starts:
        similarity = tempo.autocorrelation(curve[start : start + _LOCAL_WINDOW])
        if similarity is None:
            strengths.append(np.zeros(periods.size))
            continue
        lags = np.arange(similarity.size)
        strengths.append(np.mean([np.interp(n * periods, lags, similarity) for n in (1, 2, 3, 4)], axis=0))
    scores = np.array(strengths) - 0.1 * np.minimum(away / np.log(2), 1)
    steps = np.abs(tempos[:, None] - tempos[None, :]) / _LOCAL_STEP
    cost = np.minimum(_DRIFT_COST * steps, _JUMP_COST)
    path = cheapest_path(scores, cost)
    return np.asarray(np.interp(np.arange(curve.size), starts + _LOCAL_WINDOW / 2, periods[path]))


def cheapest_path(scores: Array, cost: Array) -> Numbers:
    came_from = np.zeros(scores.shape, np.int64)
    total = scores[0]
    for step in range(1, scores.shape[0]):
        choices = total[:, None] - cost
        came_from[step] = np.argmax(choices, axis=0)
        total = choices.max(axis=0) + scores[step]
    path = np.empty(scores.shape[0], np.int64)
    path[-1] = np.argmax(total)
    for step in range(scores.shape[0] - 1, 0, -1):
        path[step - 1] = came_from[step, path[step]]
    return path


def _best_beats(curve: Array, periods: Array) -> Array:
    """Beats that fall on onsets and keep their distance: Ellis, Beat Tracking by Dynamic Programming (2007)."""
    score = curve.copy()
    came_from = np.full(curve.size, -1)
    penalties: dict[int, tuple[Numbers, Array]] = {}
    for frame in range(curve.size):
        length = round(periods[frame])
        if length not in penalties:
            lags = np.arange(round(0.7 * length), round(1.4 * length) + 1)
            penalties[length] = lags, -_TIGHTNESS * np.log(lags / length) ** 2
        lags, penalty = penalties[length]
        reachable = int(np.searchsorted(lags, frame, "right"))
        if reachable:
            choices = score[frame - lags[:reachable]] + penalty[:reachable]
            best = int(np.argmax(choices))
            score[frame] += choices[best]
            came_from[frame] = frame - lags[best]
    last = max(0, curve.size - round(1.5 * periods[-1]))
    beats = [last + int(np.argmax(score[last:]))]
    while came_from[beats[-1]] >= 0:
        beats.append(int(came_from[beats[-1]]))
    return np.array(beats[::-1], np.float64)


def _smoothed(beats: Array) -> Array:
    """Evens out beats that stray by no more than 12 ms from a straight line through the 16 around them."""
    reach = min(_SMOOTH_BEATS, (beats.size - 1) // 2)
    if reach < 1:
        return beats
    kernel = np.ones(2 * reach + 1) / (2 * reach + 1)
    inner = np.convolve(beats, kernel, "valid")
    smooth = np.concatenate([beats[:reach], inner, beats[beats.size - reach :]])
    return np.where(np.abs(smooth - beats) < _STRAY * _RATE, smooth, beats)


def _extended(beats: Array, frames: int) -> Array:
    """Adds beats at either end so that they reach beyond the recording."""
    first = float(np.median(np.diff(beats[:8])))
    last = float(np.median(np.diff(beats[-8:])))
    before = np.arange(int(beats[0] / first) + 2, 0, -1)
    after = np.arange(1, int((frames - beats[-1]) / last) + 3)
    return np.concatenate([beats[0] - before * first, beats, beats[-1] + after * last])
