"""The parts of a recording: where the music changes for long, and which parts are alike.

Foote's method (Automatic Audio Segmentation Using a Measure of Audio Novelty, 2000): a checkerboard slides along the
diagonal of the self-similarity of bars, and answers where before and after are each alike but differ.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from server.analyzer.arrays import Array
from server.analyzer.listening import Heard
from server.analyzer.tonal import FRAMES_PER_SECOND as TONAL_FRAMES_PER_SECOND

METHOD = "self-similarity of timbre and chroma by bar, checkerboard novelty (Foote 2000)"

_KERNEL_BARS = 8
_SHORTEST_BARS = 4
_UNBARRED_SECONDS = 2.0
_NOVEL = 0.5  # standard deviations above the mean novelty
_ALIKE = 0.75  # correlation of the mean features of two parts


@dataclass(frozen=True)
class Segment:
    """`start` and `end` in seconds; segments with the same `label` (A, B …) sound alike; `level` in dB against the
    loudest segment."""

    start: float
    end: float
    label: str
    level: float

    def payload(self) -> dict[str, object]:
        return {
            "start": round(self.start, 3),
            "end": round(self.end, 3),
            "label": self.label,
            "level": round(self.level, 2),
        }


def find(heard: Heard) -> list[Segment]:
    """Segments that together cover the audible stretch; none for silence."""
    if heard.audible is None:
        return []
    edges = _bar_edges(heard, *heard.audible)
    features = _features(heard, edges)
    bounds = [0, *_boundaries(features), edges.size - 1]
    spans = list(pairwise(bounds))
    means = np.array([features[first:last].mean(axis=0) for first, last in spans])
    labels = _labels(means)
    # A boundary between two alike parts is a change that didn't last.
    kept = [number for number in range(len(spans)) if number == 0 or labels[number] != labels[number - 1]]
    starts = [float(edges[spans[number][0]]) for number in kept]
    ends = [*starts[1:], float(edges[-1])]
    levels = [_level(heard, start, end) for start, end in zip(starts, ends, strict=True)]
    return [
        Segment(start, end, labels[number], level - max(levels))
        for number, start, end, level in zip(kept, starts, ends, levels, strict=True)
    ]


def _bar_edges(heard: Heard, start: float, end: float) -> Array:
    bars = heard.beats.downbeats if heard.beats else np.arange(start, end, _UNBARRED_SECONDS)
    inner = bars[(bars > start + 0.5) & (bars < end - 0.5)]
    return np.concatenate([[start], inner, [end]])


def _features(heard: Heard, edges: Array) -> Array:
    """One row a bar: band levels and chroma, each column centred and scaled, (bars, 32)."""
    timbre = _by_bar(heard.onsets.timbre, 1 / heard.onsets.timbre_seconds, edges)
    chroma = _by_bar(heard.notes.chroma(48, 84), TONAL_FRAMES_PER_SECOND, edges)
    chroma = chroma / (np.linalg.norm(chroma, axis=1, keepdims=True) + 1e-9)
    parts = [_scaled(timbre), 0.5 * _scaled(chroma)]
    return np.concatenate(parts, axis=1)


def _by_bar(frames: Array, rate: float, edges: Array) -> Array:
    if not frames.shape[0]:
        return np.zeros((edges.size - 1, frames.shape[1]))
    summed = np.concatenate([np.zeros((1, frames.shape[1])), np.cumsum(frames, axis=0, dtype=np.float64)])
    first = np.clip((edges[:-1] * rate).astype(np.int64), 0, frames.shape[0] - 1)
    last = np.clip((edges[1:] * rate).astype(np.int64), first + 1, frames.shape[0])
    return np.asarray((summed[last] - summed[first]) / (last - first)[:, None])


def _scaled(columns: Array) -> Array:
    centred = columns - columns.mean(axis=0)
    return np.asarray(centred / (np.sqrt(np.mean(centred**2)) + 1e-9))


def _boundaries(features: Array) -> list[int]:
    """Bars with which a new part begins."""
    bars = features.shape[0]
    reach = min(_KERNEL_BARS, bars // 2)
    if reach < _SHORTEST_BARS:
        return []
    unit = features / (np.linalg.norm(features, axis=1, keepdims=True) + 1e-9)
    novelty = np.array([_checkerboard(unit, bar, reach) for bar in range(bars + 1)])
    threshold = novelty.mean() + _NOVEL * novelty.std()
    found: list[int] = []
    for bar in np.argsort(-novelty).tolist():
        if novelty[bar] <= max(threshold, 0.05):
            break
        far_from_ends = _SHORTEST_BARS <= bar <= bars - _SHORTEST_BARS
        if far_from_ends and all(abs(bar - other) >= _SHORTEST_BARS for other in found):
            found.append(bar)
    return sorted(found)


def _checkerboard(unit: Array, bar: int, reach: int) -> float:
    before, after = unit[max(0, bar - reach) : bar], unit[bar : bar + reach]
    if min(before.shape[0], after.shape[0]) < _SHORTEST_BARS:
        return 0.0
    within = (np.mean(before @ before.T) + np.mean(after @ after.T)) / 2
    return float(within - np.mean(before @ after.T))


def _labels(means: Array) -> list[str]:
    """Gives each part the letter of the first earlier part it resembles, or the next one."""
    unit = means / (np.linalg.norm(means, axis=1, keepdims=True) + 1e-9)
    letters: list[int] = []
    models: list[int] = []
    for number in range(means.shape[0]):
        alike = [float(unit[model] @ unit[number]) for model in models]
        if alike and max(alike) > _ALIKE:
            letters.append(int(np.argmax(alike)))
        else:
            letters.append(len(models))
            models.append(number)
    return [_letter(number) for number in letters]


def _letter(number: int) -> str:
    letter = chr(ord("A") + number % 26)
    return letter if number < 26 else f"{letter}{number // 26}"


def _level(heard: Heard, start: float, end: float) -> float:
    power = heard.envelope.power
    rate = power.shape[1] / max(heard.seconds, 1e-9)
    part = power[:, int(start * rate) : max(int(end * rate), int(start * rate) + 1)]
    return float(10 * np.log10(part.sum(axis=0).mean() + 1e-12)) if part.size else -120.0
