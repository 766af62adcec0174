"""What a listener might say of a recording, guessed from what can be measured.

Loudness and spectrum are measurements. The rest are heuristics: fixed weights on measured quantities, chosen by hand
and not fitted to listeners, good for sorting a library and no more. Every figure names its method.
"""

from dataclasses import asdict, dataclass

import numpy as np

from server.analyzer import onset, tempo
from server.analyzer.listening import Heard

METHODS = {
    "danceability": "heuristic: 0.5 pulse + 0.2 steadiness + 0.3 nearness of the tempo to 122 BPM",
    "arousal": "heuristic: 1 + 8 (0.4 loudness + 0.2 brightness + 0.25 onset rate + 0.15 tempo)",
    "valence": "heuristic: 1 + 8 (0.4 major or minor + 0.2 brightness + 0.2 onset rate + 0.2 tempo)",
    "energy": "measured: unweighted RMS level in dBFS",
    "loudness": "measured: integrated loudness in LUFS (ITU-R BS.1770-4, EBU R 128)",
    "loudness_range": "measured: LU (EBU Tech 3342)",
    "peak": "measured: highest sample in dBFS",
    "acousticness": "heuristic: 1 - (0.35 loudness + 0.25 brightness + 0.2 steadiness + 0.2 evenness of level)",
    "instrumentalness": "heuristic: 1 - share of the sound at 196-1047 Hz that lies between the notes of the scale",
    "spectral_centroid": "measured: Hz, frames weighted by amplitude",
    "spectral_rolloff": "measured: Hz below which 85 % of the power lies",
    "spectral_flatness": "measured: geometric by arithmetic mean of the power spectrum",
    "onset_rate": "measured: onsets a second",
}


@dataclass(frozen=True)
class Characteristics:
    """Danceability, acousticness and instrumentalness 0–1; valence and arousal 1–9; units of the others in METHODS."""

    danceability: float
    valence: float
    arousal: float
    energy: float
    loudness: float
    loudness_range: float
    peak: float
    acousticness: float
    instrumentalness: float
    spectral_centroid: float
    spectral_rolloff: float
    spectral_flatness: float
    onset_rate: float

    def payload(self) -> dict[str, object]:
        return {name: round(value, 4) for name, value in asdict(self).items()} | {"method": METHODS}


def describe(heard: Heard) -> Characteristics:
    rate = onset_rate(heard.onsets)
    beats_per_minute = heard.beats.tempo if heard.beats else 0.0
    loud = _share(heard.loudness.integrated, -30, -6)
    bright = _share(float(np.log2(max(heard.brightness.centroid, 1))), 8, 12)  # 256 to 4096 Hz
    busy = _share(rate, 0, 8)
    quick = _share(beats_per_minute, 60, 180)
    steady = 1.0 if heard.beats and heard.beats.steady else 0.0
    even = 1 - _share(heard.loudness.range, 0, 15)
    mood = 0.5
    if heard.key:
        mood += (0.5 if heard.key.mode else -0.5) * heard.key.strength
    return Characteristics(
        danceability=0.5 * pulse_clarity(heard) + 0.2 * steady + 0.3 * _tempo_fit(beats_per_minute),
        valence=1 + 8 * (0.4 * mood + 0.2 * bright + 0.2 * busy + 0.2 * quick),
        arousal=1 + 8 * (0.4 * loud + 0.2 * bright + 0.25 * busy + 0.15 * quick),
        energy=heard.loudness.rms,
        loudness=heard.loudness.integrated,
        loudness_range=heard.loudness.range,
        peak=heard.loudness.peak,
        acousticness=1 - (0.35 * loud + 0.25 * bright + 0.2 * steady + 0.2 * even),
        instrumentalness=1 - _share(heard.notes.gliding, 0.05, 0.5),
        spectral_centroid=heard.brightness.centroid,
        spectral_rolloff=heard.brightness.rolloff,
        spectral_flatness=heard.brightness.flatness,
        onset_rate=rate,
    )


def onset_rate(onsets: onset.Onsets) -> float:
    """Onsets a second: peaks of the curve that reach a tenth of its 99th percentile."""
    curve = onsets.all
    if curve.size < 3 or not curve.any():
        return 0.0
    inner = curve[1:-1]
    peaks = (inner > curve[:-2]) & (inner >= curve[2:]) & (inner > 0.1 * np.percentile(curve, 99))
    return float(peaks.sum() * onset.FRAMES_PER_SECOND / curve.size)


def pulse_clarity(heard: Heard) -> float:
    """0–1: how much onsets are alike one, two and four beats apart."""
    similarity = tempo.autocorrelation(heard.onsets.all)
    if heard.beats is None or similarity is None:
        return 0.0
    period = 60 / heard.beats.tempo * onset.FRAMES_PER_SECOND
    lags = period * np.array([1, 2, 4])
    return float(np.clip(np.interp(lags, np.arange(similarity.size), similarity).mean(), 0, 1))


def _tempo_fit(beats_per_minute: float) -> float:
    if beats_per_minute <= 0:
        return 0.0
    return float(np.exp(-0.5 * (np.log2(beats_per_minute / 122) / 0.35) ** 2))


def _share(value: float, lowest: float, highest: float) -> float:
    return float(np.clip((value - lowest) / (highest - lowest), 0, 1))
