"""Tracks from a second, plainer generator that shares nothing with the first, nor were any weights fitted on it.

White-noise snares and hats, a sine for a kick, one-bar loops: what anybody sketches who needs a track of known tempo.
"""

import numpy as np
from numpy.typing import NDArray

from .tracks import Description, Track

RATE = 44100
Samples = NDArray[np.float64]

_LOOPS: dict[str, dict[str, tuple[int, ...]]] = {
    "click": {"click": (0, 4, 8, 12)},
    "accented click": {"click": (0, 4, 8, 12), "accent": (0,)},
    "four": {"kick": (0, 4, 8, 12), "hat": (2, 6, 10, 14)},
    "four, clap": {"kick": (0, 4, 8, 12), "snare": (4, 12), "hat": (2, 6, 10, 14)},
    "four, eighths": {"kick": (0, 4, 8, 12), "snare": (4, 12), "hat": tuple(range(0, 16, 2))},
    "four, sixteenths": {"kick": (0, 4, 8, 12), "snare": (4, 12), "hat": tuple(range(16))},
    "break": {"kick": (0, 10), "snare": (4, 12), "hat": tuple(range(0, 16, 2))},
    "break, three kicks": {"kick": (0, 6, 10), "snare": (4, 12), "hat": tuple(range(0, 16, 2))},
    "break, busy": {"kick": (0, 2, 10, 11), "snare": (4, 7, 9, 12, 15), "hat": tuple(range(0, 16, 2))},
    "break, late snare": {"kick": (0, 3, 10), "snare": (4, 12, 14), "hat": tuple(range(16))},
    "break, no hats": {"kick": (0, 10), "snare": (4, 12)},
    "rock": {"kick": (0, 8), "snare": (4, 12), "hat": tuple(range(0, 16, 2))},
}
_GAINS = {"kick": 0.9, "snare": 0.6, "hat": 0.25, "click": 0.7, "accent": 0.4}
_SCALES = {"major": (0, 2, 4, 5, 7, 9, 11), "minor": (0, 2, 3, 5, 7, 8, 10)}
_DEGREES = {
    "major": ((0, 3, 4, 0), (0, 4, 5, 3), (0, 5, 3, 4), (0,), (0, 3, 0, 4)),
    "minor": ((0, 3, 4, 0), (0, 5, 2, 6), (0, 5, 6, 0), (0,), (0, 3, 0, 4), (0, 6, 5, 4)),
}


def sketch(number: int) -> Track:
    rng = np.random.default_rng((3, number))
    tempo = float(rng.choice([float(rng.integers(70, 181)), round(float(rng.uniform(70, 180)), 1)]))
    name = str(rng.choice(list(_LOOPS)))
    mode = str(rng.choice(["major", "minor"]))
    tonic = int(rng.integers(12))
    lead_in = float(rng.choice([0.0, 0.5, rng.uniform(0, 2)]))
    beat = 60 / tempo
    bars = int(float(rng.choice([12, 20, 30, 60])) / (4 * beat))
    mix = np.zeros(int((lead_in + bars * 4 * beat + 0.5) * RATE))
    for voice, steps in _LOOPS[name].items():
        sound = _drum(rng, voice)
        for step in range(16 * bars):
            if step % 16 in steps:
                _put(mix, lead_in + step * beat / 4, _GAINS[voice] * sound)
    _put_chords(mix, rng, mode, tonic, beat, bars, lead_in)
    mix *= 0.8 / np.abs(mix).max()
    beats = lead_in + beat * np.arange(4 * bars)
    described = Description(tempo, name, tonic, mode, lead_in=lead_in, seed=number)
    return Track(np.stack([mix, mix]).astype(np.float32), RATE, np.asarray(beats), np.asarray(beats[::4]), described)


def _drum(rng: np.random.Generator, voice: str) -> Samples:
    seconds, decay = {"kick": (0.25, 0.08), "snare": (0.2, 0.05), "hat": (0.08, 0.015)}.get(voice, (0.02, 0.005))
    t = np.arange(int(seconds * RATE)) / RATE
    fade = np.exp(-t / decay)
    if voice == "kick":
        return np.asarray(np.sin(2 * np.pi * np.cumsum(50 + rng.choice([80, 150]) * np.exp(-t / 0.03)) / RATE) * fade)
    if voice == "snare":
        return np.asarray(0.7 * rng.standard_normal(t.size) * fade + 0.5 * np.sin(2 * np.pi * 180 * t) * fade)
    if voice == "hat":
        return np.asarray(0.5 * np.diff(rng.standard_normal(t.size), prepend=0) * fade)
    return np.asarray(np.sin(2 * np.pi * 1000 * t) * fade)


def _put_chords(
    mix: Samples, rng: np.random.Generator, mode: str, tonic: int, beat: float, bars: int, lead_in: float
) -> None:
    degrees = _DEGREES[mode][int(rng.integers(len(_DEGREES[mode])))]
    raised = mode == "minor" and rng.random() < 0.4
    gain, detune = float(rng.choice([0.1, 0.2, 0.3])), float(rng.choice([0.0, 0.0, rng.uniform(-40, 40)]))
    partials = int(rng.choice([1, 4, 10]))
    per_bar = int(rng.choice([1, 1, 4, 8]))
    has_bass = rng.random() < 0.5
    octave = int(rng.choice([48, 60])) + tonic + detune / 100
    for bar in range(bars):
        notes = [_SCALES[mode][(degrees[bar % len(degrees)] + step) % 7] for step in (0, 2, 4)]
        if raised and degrees[bar % len(degrees)] == 4:
            notes[1] += 1
        at = lead_in + bar * 4 * beat
        for n in range(per_bar):
            sounding = notes if per_bar < 8 else [notes[n % 3]]
            for note in sounding:
                _put(mix, at + n * 4 * beat / per_bar, gain * _tone(octave + note, 3.8 * beat / per_bar, partials))
        if has_bass:
            low = 36 + tonic + detune / 100 + notes[0] - (12 if notes[0] + tonic > 9 else 0)
            _put(mix, at, 1.2 * gain * _tone(low, 4 * beat, partials))


def _tone(note: float, seconds: float, partials: int) -> Samples:
    hertz = 440 * 2 ** ((note - 69) / 12)
    t = np.arange(int(seconds * RATE)) / RATE
    wave = sum(np.sin(2 * np.pi * hertz * number * t) / number for number in range(1, partials + 1))
    return np.asarray(wave * np.clip(np.minimum(t / 0.01, (seconds - t) / 0.02), 0, 1))


def _put(mix: Samples, at: float, sound: Samples) -> None:
    start = round(at * RATE)
    part = mix[start : start + sound.size]
    part += sound[: part.size]
