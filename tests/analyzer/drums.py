"""Synthesised drum sounds, each mono float64 at a given rate, peak about 1, the onset at sample 0."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float64]
Voice = Callable[[np.random.Generator, int], Samples]


def _time(seconds: float, rate: int) -> Samples:
    return np.arange(int(seconds * rate)) / rate


def _noise(rng: np.random.Generator, size: int, rate: int, low_hz: float, high_hz: float) -> Samples:
    """White noise whose spectrum is kept between two edges, which are softened over a third of an octave."""
    spectrum = np.fft.rfft(rng.standard_normal(size))
    hertz = np.maximum(np.fft.rfftfreq(size, 1 / rate), 1.0)
    spectrum *= 1 / (1 + (low_hz / hertz) ** 6) / (1 + (hertz / high_hz) ** 6)
    noise = np.fft.irfft(spectrum, size)
    return np.asarray(noise / np.abs(noise).max())


def kick(rng: np.random.Generator, rate: int) -> Samples:
    base, sweep = rng.uniform(42, 62), rng.uniform(60, 260)
    decay, pitch_decay = rng.uniform(0.08, 0.3), rng.uniform(0.012, 0.05)
    t = _time(min(0.5, decay * 4), rate)
    phase = 2 * np.pi * (base * t + sweep * pitch_decay * (1 - np.exp(-t / pitch_decay)))
    body = np.sin(phase) * np.exp(-t / decay)
    beater = rng.choice([0.0, rng.uniform(0, 0.35)]) * rng.standard_normal(t.size) * np.exp(-t / 0.004)
    return np.asarray(np.tanh(rng.uniform(1, 2.5) * (body + beater)))


def snare(rng: np.random.Generator, rate: int) -> Samples:
    decay = rng.uniform(0.06, 0.16)
    t = _time(decay * 4, rate)
    tone_hz = rng.uniform(160, 240)
    tone = np.sin(2 * np.pi * tone_hz * t) * np.exp(-t / 0.06) * rng.uniform(0.2, 0.7)
    return tone + _noise(rng, t.size, rate, rng.uniform(100, 900), rng.uniform(6000, 20000)) * np.exp(-t / decay)


def clap(rng: np.random.Generator, rate: int) -> Samples:
    t = _time(0.3, rate)
    noise = _noise(rng, t.size, rate, 700, 5000)
    envelope = np.exp(-t / rng.uniform(0.05, 0.1)) * 0.7
    for burst in (0.0, 0.009, 0.018):
        after = t - burst
        envelope = np.maximum(envelope, np.where(after >= 0, np.exp(-np.maximum(after, 0) / 0.004), 0))
    return noise * envelope


def closed_hat(rng: np.random.Generator, rate: int) -> Samples:
    decay = rng.uniform(0.012, 0.04)
    t = _time(decay * 5, rate)
    return _noise(rng, t.size, rate, np.exp(rng.uniform(np.log(300), np.log(8000))), 19000) * np.exp(-t / decay)


def open_hat(rng: np.random.Generator, rate: int) -> Samples:
    decay = rng.uniform(0.08, 0.2)
    t = _time(decay * 4, rate)
    return _noise(rng, t.size, rate, np.exp(rng.uniform(np.log(300), np.log(8000))), 19000) * np.exp(-t / decay)


def shaker(rng: np.random.Generator, rate: int) -> Samples:
    t = _time(0.09, rate)
    return _noise(rng, t.size, rate, 4000, 12000) * np.sin(np.pi * np.minimum(t / 0.05, 1)) * np.exp(-t / 0.03)


def rim(rng: np.random.Generator, rate: int) -> Samples:
    t = _time(0.06, rate)
    return np.sin(2 * np.pi * rng.uniform(1500, 1900) * t) * np.exp(-t / 0.01)


def click(rng: np.random.Generator, rate: int) -> Samples:
    t = _time(0.05, rate)
    return np.sin(2 * np.pi * rng.uniform(800, 2200) * t) * np.exp(-t / rng.uniform(0.004, 0.015))


VOICES: dict[str, Voice] = {
    "kick": kick,
    "snare": snare,
    "clap": clap,
    "hat": closed_hat,
    "open": open_hat,
    "shaker": shaker,
    "rim": rim,
    "click": click,
    "accent": click,
}
