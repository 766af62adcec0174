"""Tracks from a fourth generator: a bedroom producer's loop, with the effects that blur what is easy to hear.

Everything goes through reverb, a compressor that ducks under the kick, and saturation. Tracks begin and break down as
dance music does: drums enter one after the other, and rest. Chords are detuned saws and electric pianos (FM), the
bass line is syncopated. Nothing was fitted on it.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from .drumbox import filtered
from .tracks import Description, Track

Samples = NDArray[np.float64]
RATE = 44_100

# Onsets in sixteenths of a bar.
_STYLES: dict[str, tuple[tuple[float, float], dict[str, tuple[int, ...]]]] = {
    "house": ((118, 130), {"kick": (0, 4, 8, 12), "clap": (4, 12), "hat": (2, 6, 10, 14), "shaker": tuple(range(16))}),
    "techno": ((125, 145), {"kick": (0, 4, 8, 12), "hat": (2, 6, 10, 14), "tom": (3, 11)}),
    "trance": ((132, 145), {"kick": (0, 4, 8, 12), "clap": (4, 12), "hat": tuple(range(0, 16, 2))}),
    "hardcore": ((155, 180), {"kick": (0, 4, 8, 12), "hat": (2, 6, 10, 14), "clap": (4, 12)}),
    "slow house": ((95, 115), {"kick": (0, 4, 8, 12), "clap": (4, 12), "hat": tuple(range(0, 16, 2))}),
    "hip hop": ((78, 100), {"kick": (0, 7, 10), "clap": (4, 12), "hat": tuple(range(0, 16, 2))}),
    "boom bap": ((82, 98), {"kick": (0, 3, 10), "clap": (4, 12), "hat": tuple(range(0, 16, 2)), "shaker": (7, 15)}),
    "electro": ((120, 138), {"kick": (0, 6, 10), "clap": (4, 12), "hat": tuple(range(16))}),
    "garage": ((128, 136), {"kick": (0, 10), "clap": (4, 12), "hat": (2, 6, 10, 14), "shaker": (3, 7, 9, 15)}),
    "big beat": ((105, 135), {"kick": (0, 2, 7, 10), "clap": (4, 12), "hat": tuple(range(0, 16, 2))}),
    "drum and bass": ((168, 178), {"kick": (0, 10), "clap": (4, 12), "hat": tuple(range(0, 16, 2))}),
    "jungle": ((160, 175), {"kick": (0, 2, 10, 11), "clap": (4, 7, 9, 12), "hat": tuple(range(0, 16, 2))}),
    "metronome": ((70, 180), {"click": (0, 4, 8, 12)}),
}
_CHORDS = {
    "major": (((0, 4, 7), (7, 11, 14), (9, 12, 16), (5, 9, 12)), ((0, 4, 7), (5, 9, 12), (7, 11, 14), (0, 4, 7)),
              ((0, 4, 7), (9, 12, 16), (5, 9, 12), (7, 11, 14))),
    "minor": (((0, 3, 7), (8, 12, 15), (3, 7, 10), (10, 14, 17)), ((0, 3, 7), (5, 8, 12), (7, 10, 14), (0, 3, 7)),
              ((0, 3, 7), (10, 14, 17), (8, 12, 15), (7, 11, 14)), ((0, 3, 7), (0, 3, 7), (5, 8, 12), (5, 8, 12))),
}  # fmt: skip


def bedroom(number: int, bars: int | None = None) -> Track:
    rng = np.random.default_rng((5, number))
    style = list(_STYLES)[number % len(_STYLES)]
    (slowest, fastest), strokes = _STYLES[style]
    tempo = float(
        rng.choice([round(float(rng.uniform(slowest, fastest))), round(float(rng.uniform(slowest, fastest)), 1)])
    )
    beat = 60 / tempo
    bars = bars or max(16, round(45 / (4 * beat)) // 8 * 8)
    lead_in = float(rng.choice([0.0, 0.05, 0.7, rng.uniform(0, 2)]))
    size = int((lead_in + 4 * bars * beat + 1.5) * RATE)
    drums, music = np.zeros(size), np.zeros(size)
    swing = float(rng.choice([0.0, 0.0, 0.1, 0.25])) if style in ("hip hop", "boom bap", "garage", "house") else 0.0
    enters = {name: int(rng.choice([0, 0, 4])) if name not in ("kick", "click") else 0 for name in strokes}
    rests = range(bars // 2, bars // 2 + 4) if rng.random() < 0.4 else range(0)
    duck = np.ones(size)
    for name, steps in strokes.items():
        sound = _drum(rng, name)
        for bar in range(bars):
            if bar < enters[name] or bar in rests:
                continue
            for step in steps:
                at = lead_in + (4 * bar + (step + swing * (step % 2)) / 4) * beat + rng.normal(0, 0.001)
                _put(drums, at, rng.uniform(0.8, 1.0) * sound)
                if name == "kick":
                    _duck(duck, at)
    mode = ("major", "minor")[number // 12 % 2]
    tonic = number % 12
    _add_music(music, rng, tonic, mode, beat, bars, lead_in)
    music *= duck * rng.uniform(0.3, 0.7) / np.abs(music).max()
    drums *= rng.uniform(0.6, 0.9) / np.abs(drums).max()
    mix = np.stack([_room(rng, music) + drums, _room(rng, music) + drums])
    mix = np.tanh(rng.uniform(0.8, 1.8) * mix)
    mix += 10 ** (rng.uniform(-80, -55) / 20) * rng.standard_normal(mix.shape)
    mix *= 0.9 / np.abs(mix).max()
    beats = lead_in + beat * np.arange(4 * bars)
    described = Description(tempo, style, tonic, mode, lead_in=lead_in, seed=number)
    return Track(mix.astype(np.float32), RATE, np.asarray(beats), np.asarray(beats[::4]), described)


def _drum(rng: np.random.Generator, name: str) -> Samples:
    t = np.arange(int(0.4 * RATE)) / RATE
    noise = rng.standard_normal(t.size)
    if name == "kick":
        sweep = 48 * t + rng.uniform(2, 6) * (1 - np.exp(-t / rng.uniform(0.01, 0.03)))
        return np.asarray(1.2 * np.sin(2 * np.pi * sweep) * np.exp(-((t / rng.uniform(0.12, 0.25)) ** 2)))
    if name == "clap":
        body = _level(filtered(noise, RATE, rng.uniform(500, 1200), 6500))
        return np.asarray(rng.uniform(0.5, 0.9) * body * np.exp(-t / rng.uniform(0.05, 0.12)))
    if name == "tom":
        return np.asarray(0.4 * np.sin(2 * np.pi * (110 * t + 1.5 * (1 - np.exp(-t / 0.03)))) * np.exp(-t / 0.08))
    if name == "click":
        return np.asarray(np.sin(2 * np.pi * rng.uniform(700, 2500) * t) * np.exp(-t / rng.uniform(0.005, 0.02)))
    decay = rng.uniform(0.02, 0.05) if name == "hat" else 0.02
    rise = np.minimum(t / (0.001 if name == "hat" else 0.012), 1)
    level = 0.35 if name == "hat" else 0.15
    return np.asarray(level * rise * _level(filtered(noise, RATE, rng.uniform(5000, 9000), None)) * np.exp(-t / decay))


def _level(sound: Samples) -> Samples:
    return np.asarray(sound / np.abs(sound).max())


def _duck(level: Samples, at: float) -> None:
    start, length = round(at * RATE), int(0.18 * RATE)
    part = level[start : start + length]
    np.minimum(part, 0.35 + 0.65 * np.arange(length)[: part.size] / length, out=part)


def _add_music(
    music: Samples, rng: np.random.Generator, tonic: int, mode: str, beat: float, bars: int, lead_in: float
) -> None:
    chords = _CHORDS[mode][int(rng.integers(len(_CHORDS[mode])))]
    cents = float(rng.choice([0.0, 0.0, rng.uniform(-30, 30)]))
    timbre = str(rng.choice(["saws", "piano", "organ"]))
    per_chord = int(rng.choice([1, 1, 2]))
    bass_line = [(0,), (0, 6, 10), (2, 6, 10, 14), (0, 3, 6, 11)][int(rng.integers(4))]
    stabs = [((0.0,), 4.0), ((0.0, 1.5, 3.0), 0.5), ((0.0, 2.0), 1.8), ((0.5, 1.5, 2.5, 3.5), 0.4)][
        int(rng.integers(4))
    ]
    base = 60 + tonic + cents / 100 - (12 if tonic > 6 else 0)
    for bar in range(bars):
        chord = chords[bar // per_chord % len(chords)]
        at = lead_in + 4 * bar * beat
        for note in chord:
            for start in stabs[0]:
                _put(
                    music,
                    at + start * beat,
                    0.3 * _tone(rng, timbre, base + note - (12 if note > 11 else 0), stabs[1] * beat),
                )
        low = base - 24 + chord[0] - (12 if chord[0] > 7 else 0)
        for step in bass_line:
            length = beat if len(bass_line) > 1 else 4 * beat
            _put(music, at + step * beat / 4, 0.6 * _tone(rng, "bass", low, 0.6 * length))


def _tone(rng: np.random.Generator, timbre: str, pitch: float, seconds: float) -> Samples:
    t = np.arange(int(seconds * RATE)) / RATE
    turn = 2 * np.pi * 440 * 2 ** ((pitch - 69) / 12) * t
    wave: Samples
    if timbre == "saws":
        phases = [turn / (2 * np.pi) * 2 ** (cents / 1200) + rng.uniform(0, 1) for cents in (-8, 0, 8)]
        wave = filtered(np.asarray(sum(2 * (phase % 1) - 1 for phase in phases) / 2), RATE, None, 3500)
    elif timbre == "piano":
        wave = np.sin(turn + 1.2 * np.exp(-t / 0.3) * np.sin(turn)) * np.exp(-t / 0.9)
    elif timbre == "bass":
        wave = np.tanh(1.5 * np.sin(turn))
    else:
        wave = np.sin(turn) + 0.6 * np.sin(2 * turn) + 0.3 * np.sin(3 * turn) + 0.3 * np.sin(4 * turn)
    return np.asarray(wave * np.clip(np.minimum(t / 0.006, (seconds - t) / 0.04), 0, 1))


def _room(rng: np.random.Generator, dry: Samples) -> Samples:
    t = np.arange(int(0.5 * RATE)) / RATE
    tail = rng.standard_normal(t.size) * np.exp(-t / 0.12)
    tail *= 0.25 / np.sqrt(np.sum(tail**2))
    return np.asarray(dry + signal.oaconvolve(dry, tail)[: dry.size])  # type: ignore[attr-defined]


def _put(mix: Samples, at: float, sound: Samples) -> None:
    start = max(0, round(at * RATE))
    part = mix[start : start + sound.size]
    part += sound[: part.size]
