"""Tracks from a third generator: a drum machine and a polyphonic keyboard, at many sample rates.

It shares no sound with the others, and nothing was fitted on it: sine-sweep kicks with a click, snares of two tones and
filtered noise, metallic hats of square waves, swing, fills, triplet hats, hats alone or silence before the drums, and
chords in inversions, sevenths and open voicings, in tune or a third of a semitone off.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from .tracks import Description, Track

Samples = NDArray[np.float64]
RATES = (22_050, 32_000, 44_100, 44_100, 48_000, 96_000)

# Sixteenths (or twelfths, for triplets) of one bar: kick, snare, closed hat, open hat.
_GROOVES: dict[str, tuple[str, str, str, str]] = {
    "house": ("x...x...x...x...", "....x.......x...", "................", "..x...x...x...x."),
    "house, sixteenths": ("x...x...x...x...", "....x.......x...", "xxxxxxxxxxxxxxxx", "................"),
    "techno, no snare": ("x...x...x...x...", "................", "..x...x...x...x.", "................"),
    "four, eighths": ("x...x...x...x...", "....x.......x...", "x.x.x.x.x.x.x.x.", "................"),
    "four, triplet hats": ("x..x..x..x..", "...x.....x..", "x.xx.xx.xx.x", "............"),
    "break, two kicks": ("x.........x.....", "....x.......x...", "x.x.x.x.x.x.x.x.", "................"),
    "break, syncopated": ("x..x..x...x.....", "....x.......x..x", "x.x.x.x.x.x.x.x.", "..............x."),
    "break, ghosts": ("x.x.......x..x..", "....x..x.x..x...", "x.x.x.x.x.x.x.x.", "................"),
    "break, sparse hats": ("x.....x...x.....", "....x.......x...", "x...x...x...x...", "................"),
    "clave": ("x...x...x...x...", "...x..x....x..x.", "..x...x...x...x.", "................"),
}
_TEMPOS = (70, 75, 80, 87, 90, 95, 100, 110, 115, 120, 124, 126, 128, 130, 132, 135, 140, 145, 150, 160, 170, 174, 180)
_FOUR_ON_FLOOR = ("house", "techno", "four", "clave")
_SCALES = {"major": (0, 2, 4, 5, 7, 9, 11), "minor": (0, 2, 3, 5, 7, 8, 10)}
_PROGRESSIONS = {
    "major": ((0, 4, 5, 3), (0, 3, 4, 4), (0, 5, 1, 4), (0,), (0, 3), (0, 2, 3, 4)),
    "minor": ((0, 5, 2, 6), (0, 3, 4, 0), (0, 6, 5, 4), (0,), (0, 3), (0, 5, 3, 4)),
}


def drumbox(number: int, seconds: float = 40.0) -> Track:
    rng = np.random.default_rng((4, number))
    rate = int(rng.choice(RATES))
    groove = str(rng.choice(list(_GROOVES)))
    tempo = float(rng.choice(_TEMPOS)) if rng.random() < 0.5 else round(float(rng.uniform(70, 180)), 2)
    beat = 60 / tempo
    bars = int(seconds / (4 * beat))
    lead_in = float(rng.choice([0.0, 0.0, 1.3, rng.uniform(0, 4)]))
    mix = np.zeros(int((lead_in + (4 * bars + 1) * beat) * rate))
    _add_drums(mix, rng, rate, groove, beat, bars, lead_in)
    mode = str(rng.choice(["major", "minor"]))
    tonic = int(rng.integers(12))
    _add_keyboard(mix, rng, rate, (mode, tonic, float(rng.choice([0, 0, 30, -30]))), beat, bars, lead_in)
    mix *= rng.uniform(0.4, 0.95) / np.abs(mix).max()
    beats = lead_in + beat * np.arange(4 * bars)
    described = Description(tempo, groove, tonic, mode, lead_in=lead_in, rate=rate, seed=number)
    audio = np.stack([mix, mix]) if rng.random() < 0.7 else mix[None, :]
    return Track(audio.astype(np.float32), rate, np.asarray(beats), np.asarray(beats[::4]), described)


def _add_drums(
    mix: Samples, rng: np.random.Generator, rate: int, groove: str, beat: float, bars: int, lead_in: float
) -> None:
    kit = [_kick(rng, rate), _snare(rng, rate), _hat(rng, rate, 0.03), _hat(rng, rate, 0.15)]
    levels = [1.0, rng.uniform(0.4, 0.8), rng.uniform(0.15, 0.35), rng.uniform(0.15, 0.35)]
    swing = float(rng.choice([0.0, 0.0, 0.0, 0.16, 0.32]))  # of a sixteenth
    hats_first = int(rng.choice([0, 0, 0, 4])) if groove.startswith(_FOUR_ON_FLOOR) else 0
    has_fills = rng.random() < 0.3
    for voice, strokes in enumerate(_GROOVES[groove]):
        step_beats = 4 / len(strokes)
        for bar in range(bars):
            if voice < 2 and bar < hats_first:
                continue
            is_fill = has_fills and bar % 8 == 7
            for step, stroke in enumerate(strokes):
                plays = stroke == "x" or (is_fill and voice == 1 and step >= len(strokes) * 3 // 4)
                if not plays:
                    continue
                late = swing * step_beats if len(strokes) == 16 and step % 2 else 0.0
                at = lead_in + (4 * bar + step * step_beats + late) * beat
                _put(mix, rate, at, levels[voice] * rng.uniform(0.9, 1.0) * kit[voice])


def _kick(rng: np.random.Generator, rate: int) -> Samples:
    t = np.arange(int(0.35 * rate)) / rate
    hertz = rng.uniform(45, 60) + rng.uniform(100, 250) * np.exp(-t / rng.uniform(0.015, 0.04))
    body = np.sin(2 * np.pi * np.cumsum(hertz) / rate) * np.exp(-t / rng.uniform(0.06, 0.14))
    click = rng.uniform(0, 0.5) * np.exp(-t / 0.002) * np.sin(2 * np.pi * 3000 * t)
    return np.asarray(body + click)


def _snare(rng: np.random.Generator, rate: int) -> Samples:
    t = np.arange(int(0.25 * rate)) / rate
    tones = np.sin(2 * np.pi * 185 * t) + 0.6 * np.sin(2 * np.pi * 330 * t)
    hiss = filtered(rng.standard_normal(t.size), rate, rng.uniform(700, 1800), min(9000, rate * 0.45))
    hiss /= np.abs(hiss).max()
    return np.asarray(0.4 * tones * np.exp(-t / 0.04) + hiss * np.exp(-t / rng.uniform(0.04, 0.1)))


def _hat(rng: np.random.Generator, rate: int, decay: float) -> Samples:
    """Six square waves without a common fundamental, high-passed, as in analogue drum machines."""
    t = np.arange(int(6 * decay * rate)) / rate
    ratios = (1.0, 1.342, 1.2312, 1.6532, 1.9523, 2.1523)
    base = rng.uniform(300, 550)
    squares = sum(np.sign(np.sin(2 * np.pi * base * ratio * t + rng.uniform(0, 6))) for ratio in ratios)
    sound = filtered(np.asarray(squares), rate, min(7000, rate * 0.35), None) * np.exp(-t / decay)
    return np.asarray(sound / np.abs(sound).max())


def filtered(sound: Samples, rate: int, lowest: float | None, highest: float | None) -> Samples:
    """Of the third order, between two edges in Hz; None: open at that end."""
    edges = [edge for edge in (lowest, highest) if edge is not None]
    kind = {(True, True): "bandpass", (True, False): "highpass"}.get(
        (lowest is not None, highest is not None), "lowpass"
    )
    sections = signal.butter(3, edges if len(edges) > 1 else edges[0], kind, fs=rate, output="sos")  # type: ignore[attr-defined]
    return np.asarray(signal.sosfilt(sections, sound))  # type: ignore[attr-defined]


def _add_keyboard(
    mix: Samples, rng: np.random.Generator, rate: int, tuned: tuple[str, int, float], beat: float, bars: int,
    lead_in: float,
) -> None:  # fmt: skip
    mode, tonic, cents = tuned
    degrees = _PROGRESSIONS[mode][int(rng.integers(len(_PROGRESSIONS[mode])))]
    voicing = str(rng.choice(["close", "inverted", "open", "seventh"]))
    style = str(rng.choice(["pad", "pad", "offbeats", "arpeggio", "quarters"]))
    has_bass = rng.random() < 0.7
    gain = float(rng.uniform(0.05, 0.2))
    partials, drop = int(rng.choice([3, 8, 16])), float(rng.choice([1.0, 1.5]))
    base = int(rng.choice([48, 60])) + tonic + cents / 100
    for bar in range(bars):
        degree = degrees[bar % len(degrees)]
        chord = [_degree(mode, degree + step) for step in ((0, 2, 4, 6) if voicing == "seventh" else (0, 2, 4))]
        low = 36 + tonic + cents / 100 + chord[0] % 12
        if voicing == "inverted":
            chord[0] += 12
        if voicing == "open":
            chord[1] += 12
        starts, length = {
            "pad": ((0.0,), 3.9),
            "offbeats": ((0.5, 1.5, 2.5, 3.5), 0.4),
            "arpeggio": (tuple(n / 2 for n in range(8)), 0.45),
            "quarters": ((0.0, 1.0, 2.0, 3.0), 0.8),
        }[style]
        for n, start in enumerate(starts):
            at = lead_in + (4 * bar + start) * beat
            for note in [chord[n % len(chord)]] if style == "arpeggio" else chord:
                _put(mix, rate, at, gain * _note(base + note, length * beat, rate, partials, drop))
        if has_bass:
            for n in range(4):
                _put(mix, rate, lead_in + (4 * bar + n) * beat, 2 * gain * _note(low, 0.9 * beat, rate, 3, 2.0))


def _degree(mode: str, degree: int) -> int:
    return 12 * (degree // 7) + _SCALES[mode][degree % 7]


def _note(pitch: float, seconds: float, rate: int, partials: int, drop: float) -> Samples:
    t = np.arange(int(seconds * rate)) / rate
    hertz = 440 * 2 ** ((pitch - 69) / 12)
    wave = np.zeros(t.size)
    for n in range(1, partials + 1):
        if n * hertz < rate * 0.45:
            wave += np.sin(2 * np.pi * n * hertz * t + n) / n**drop
    return np.asarray(wave * np.clip(np.minimum(t / 0.008, (seconds - t) / 0.03), 0, 1))


def _put(mix: Samples, rate: int, at: float, sound: Samples) -> None:
    start = round(at * rate)
    part = mix[start : start + sound.size]
    part += sound[: part.size]
