"""Whole tracks of known tempo, beats and key, rendered from a seeded description."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from . import drums, harmony, patterns

Samples = NDArray[np.float64]


@dataclass(frozen=True)
class Description:
    """What to render. Times in seconds, tempo in beats a minute, detune in cents."""

    tempo: float
    pattern: str = "four_on_floor"
    tonic: int = 0
    mode: str = "major"
    progression: str = "I-V-vi-IV"
    raised_leading_note: bool = False
    chord_timbre: str = "saw"
    chord_style: str = "pad"
    bass_style: str = "root"
    bass_timbre: str = "soft"
    beats_per_chord: int = 4
    detune: float = 0.0
    swing: float = 0.0
    lead_in: float = 0.0
    seconds: float = 40.0
    harmony_gain: float = 0.35
    drum_gain: float = 0.8
    breakdown: bool = False
    jitter: float = 0.0
    noise_floor: float = 0.0
    rate: int = 44100
    seed: int = 0


@dataclass(frozen=True)
class Track:
    """Rendered audio (2, n) float32 with the truth about it."""

    audio: NDArray[np.float32]
    rate: int
    beats: Samples
    downbeats: Samples
    description: Description = field(repr=False)


def render(wanted: Description) -> Track:
    rng = np.random.default_rng(wanted.seed)
    beat = 60 / wanted.tempo
    bars = max(1, int((wanted.seconds - wanted.lead_in) / (4 * beat)))
    beats = wanted.lead_in + beat * np.arange(4 * bars)
    mix = np.zeros((2, int((wanted.lead_in + 4 * bars * beat + 0.6) * wanted.rate)))
    _add_drums(mix, wanted, rng, bars)
    if wanted.chord_style != "none":
        _add_chords(mix, wanted, rng, bars)
    if wanted.bass_style != "none":
        _add_bass(mix, wanted, rng, bars)
    if wanted.noise_floor:
        mix += wanted.noise_floor * rng.standard_normal(mix.shape)
    mix *= 0.85 / np.abs(mix).max()
    return Track(mix.astype(np.float32), wanted.rate, np.asarray(beats), np.asarray(beats[::4]), wanted)


def _place(mix: Samples, rate: int, at: float, sound: Samples, gain: float, pan: float = 0.0) -> None:
    start = round(at * rate)
    if start < 0:
        return
    end = min(start + sound.size, mix.shape[1])
    if end > start:
        mix[0, start:end] += gain * (1 - max(0.0, pan)) * sound[: end - start]
        mix[1, start:end] += gain * (1 + min(0.0, pan)) * sound[: end - start]


def _drums_rest(wanted: Description, bar: int, bars: int) -> bool:
    return wanted.breakdown and bars * 3 // 8 <= bar < bars * 5 // 8


def _add_drums(mix: Samples, wanted: Description, rng: np.random.Generator, bars: int) -> None:
    sixteenth = 15 / wanted.tempo
    for voice, strokes in patterns.PATTERNS[wanted.pattern].items():
        sound = drums.VOICES[voice](rng, wanted.rate)
        gain = wanted.drum_gain * {"hat": 0.35, "open": 0.4, "shaker": 0.25, "rim": 0.4, "accent": 1.2}.get(voice, 1.0)
        gain *= rng.uniform(0.75, 1.15)
        pan = rng.uniform(-0.3, 0.3) if voice in {"hat", "open", "shaker", "rim"} else 0.0
        for step in range(16 * bars):
            stroke = strokes[step % len(strokes)]
            if stroke == "." or _drums_rest(wanted, step // 16, bars):
                continue
            late = wanted.swing * sixteenth if step % 2 else 0.0
            at = wanted.lead_in + step * sixteenth + late + rng.normal(0, wanted.jitter)
            _place(mix, wanted.rate, at, sound, gain * patterns.STROKES[stroke] * rng.uniform(0.92, 1.0), pan)


def _chords(wanted: Description, bars: int) -> list[harmony.Chord]:
    degrees = harmony.PROGRESSIONS[wanted.mode][wanted.progression]
    count = -(-4 * bars // wanted.beats_per_chord)
    return [
        harmony.triad(degrees[n % len(degrees)], wanted.mode, raised_leading_note=wanted.raised_leading_note)
        for n in range(count)
    ]


def _add_chords(mix: Samples, wanted: Description, rng: np.random.Generator, bars: int) -> None:
    beat = 60 / wanted.tempo
    length = wanted.beats_per_chord * beat
    base = 60 + wanted.tonic + wanted.detune / 100
    player = harmony.Player(rng, wanted.rate, wanted.chord_timbre)
    for number, chord in enumerate(_chords(wanted, bars)):
        notes = [
            base + pitch - (12 if pitch + wanted.tonic > 9 else 0) for pitch in (chord.root, chord.third, chord.fifth)
        ]
        start = wanted.lead_in + number * length
        if wanted.chord_style == "arp":
            steps = wanted.beats_per_chord * 4
            for step in range(steps):
                note = notes[(0, 1, 2, 1)[step % 4]] + (12 if step % 8 >= 4 else 0)
                sound = player.play(note, beat / 4)
                _place(mix, wanted.rate, start + step * beat / 4, sound, wanted.harmony_gain * 0.8, 0.2)
            continue
        onsets, hold = {
            "pad": ([0.0], length),
            "stab": ([beat * (n + 0.5) for n in range(wanted.beats_per_chord)], beat * 0.4),
            "quarters": ([beat * n for n in range(wanted.beats_per_chord)], beat * 0.9),
        }[wanted.chord_style]
        for place, note in enumerate(notes):
            sound = player.play(note, hold)
            for onset in onsets:
                _place(mix, wanted.rate, start + onset, sound, wanted.harmony_gain * 0.4, (-0.3, 0.0, 0.3)[place])


def _add_bass(mix: Samples, wanted: Description, rng: np.random.Generator, bars: int) -> None:
    beat = 60 / wanted.tempo
    base = 36 + wanted.tonic + wanted.detune / 100
    player = harmony.Player(rng, wanted.rate, wanted.bass_timbre)
    for number, chord in enumerate(_chords(wanted, bars)):
        start = wanted.lead_in + number * wanted.beats_per_chord * beat
        note = base + chord.root - (12 if chord.root + wanted.tonic > 8 else 0)
        onsets, hold = {
            "root": ([0.0], wanted.beats_per_chord * beat),
            "quarters": ([beat * n for n in range(wanted.beats_per_chord)], beat * 0.8),
            "offbeat": ([beat * (n + 0.5) for n in range(wanted.beats_per_chord)], beat * 0.45),
            "eighths": ([beat * n / 2 for n in range(2 * wanted.beats_per_chord)], beat * 0.4),
            "rolling": ([beat * (n + q / 4) for n in range(wanted.beats_per_chord) for q in (1, 2, 3)], beat * 0.22),
        }[wanted.bass_style]
        sound = player.play(note, hold)
        for onset in onsets:
            _place(mix, wanted.rate, start + onset, sound, wanted.harmony_gain * 0.8)


def render_along(beats: Samples, pattern: str, rate: int = 44100, seed: int = 0) -> Track:
    """Drums alone, whose beats fall at given times in seconds: for tempos that drift or jump."""
    rng = np.random.default_rng(seed)
    mix = np.zeros((2, int((beats[-1] + 1.5) * rate)))
    wanted = Description(60 / float(np.median(np.diff(beats))), pattern, rate=rate, seed=seed)
    for voice, strokes in patterns.PATTERNS[pattern].items():
        sound = drums.VOICES[voice](rng, rate)
        gain = 0.3 if voice in {"hat", "open", "shaker", "rim"} else 0.8
        for step in range(4 * (beats.size - 1)):
            stroke = strokes[step % len(strokes)]
            if stroke != ".":
                at = float(np.interp(step / 4, np.arange(beats.size), beats))
                _place(mix, rate, at, sound, gain * patterns.STROKES[stroke])
    mix *= 0.85 / np.abs(mix).max()
    return Track(mix.astype(np.float32), rate, beats[:-1], np.asarray(beats[:-1:4]), wanted)
