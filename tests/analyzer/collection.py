"""Descriptions of many different tracks, drawn with a seed, to measure accuracy on."""

import numpy as np

from . import harmony, patterns
from .tracks import Description


def plain(count: int) -> list[Description]:
    """What a folder of dance music is like: 70–180 BPM, every key in turn, clear drums, chords that begin on the
    tonic, mostly a bass, some lead-ins and detuned tracks."""
    return [_plain(number) for number in range(count)]


def hard(count: int, first: int = 0) -> list[Description]:
    """The same with everything that may go wrong: busy off-beat bass lines louder than the drums, arpeggios, swing,
    jitter, breakdowns, noise, bare clicks under dense chords, half of all detuned by up to 40 cents."""
    return [_hard(number) for number in range(first, first + count)]


_PLAIN_PATTERNS = (
    *("four_on_floor", "four_on_floor_eighths", "four_on_floor_hats", "techno", "trance", "click"),
    *("breakbeat", "two_step", "amen", "rock", "three_kick_break", "hiphop", "two_bar_break"),
)


def _plain(number: int) -> Description:
    rng = np.random.default_rng((1, number))
    mode = "minor" if number % 24 >= 12 else "major"
    return Description(
        tempo=round(float(rng.uniform(70, 180)), int(rng.integers(0, 3))),
        pattern=_PLAIN_PATTERNS[number % len(_PLAIN_PATTERNS)],
        tonic=number % 12,
        mode=mode,
        progression=str(rng.choice(list(harmony.PROGRESSIONS[mode]))),
        raised_leading_note=bool(rng.random() < 0.3),
        chord_timbre=str(rng.choice(["saw", "organ", "soft"])),
        chord_style=str(rng.choice(["pad", "pad", "quarters"])),
        bass_style=str(rng.choice(["root", "quarters", "none"])),
        detune=float(rng.choice([0.0, 0.0, rng.uniform(-40, 40)])),
        lead_in=float(rng.choice([0.0, rng.uniform(0, 2)])),
        seconds=float(rng.choice([30, 45, 60])),
        harmony_gain=float(rng.uniform(0.2, 0.4)),
        breakdown=bool(rng.random() < 0.2),
        seed=number,
    )


def _hard(number: int) -> Description:
    rng = np.random.default_rng((2, number))
    mode = str(rng.choice(["major", "minor"]))
    return Description(
        tempo=round(float(rng.uniform(70, 180)), int(rng.integers(0, 3))),
        pattern=str(rng.choice(list(patterns.PATTERNS))),
        tonic=int(rng.integers(12)),
        mode=mode,
        progression=str(rng.choice(list(harmony.PROGRESSIONS[mode]))),
        raised_leading_note=bool(rng.random() < 0.3),
        chord_timbre=str(rng.choice(["saw", "organ", "soft", "pluck", "square", "sine"])),
        chord_style=str(rng.choice(["pad", "pad", "stab", "quarters", "arp"])),
        bass_style=str(rng.choice(["root", "quarters", "offbeat", "eighths", "rolling", "none"])),
        bass_timbre=str(rng.choice(["soft", "sine", "saw", "square"])),
        beats_per_chord=int(rng.choice([2, 4, 4, 4, 8])),
        detune=float(rng.choice([0.0, rng.uniform(-40, 40)])),
        swing=float(rng.choice([0, 0, 0, 0.2, 0.33])),
        lead_in=float(rng.choice([0, 0, rng.uniform(0, 3)])),
        seconds=float(rng.choice([20, 30, 45])),
        harmony_gain=float(rng.uniform(0.15, 0.6)),
        drum_gain=float(rng.uniform(0.5, 1)),
        breakdown=bool(rng.random() < 0.3),
        jitter=float(rng.choice([0, 0, 0.002, 0.005])),
        noise_floor=float(rng.choice([0, 0, 0.003])),
        seed=number,
    )
