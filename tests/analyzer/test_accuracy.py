"""Tempo, beats, bars and key of generated tracks whose truth is known.

A sample of what `scripts/analysis_accuracy` measures; the figures of docs/analysis.md come from there.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from server.analyzer import key, listening

from . import bedroom, collection, drumbox, encoding, grading, sketches, tracks

Listen = Callable[[tracks.Track, str], listening.Heard]


@pytest.fixture
def listen(tmp_path: Path) -> Listen:
    def listen(track: tracks.Track, kind: str = "wav") -> listening.Heard:
        return listening.listen(encoding.write(tmp_path / f"track.{kind}", track.audio, track.rate))

    return listen


def graded(listen: Listen, descriptions: list[tracks.Description]) -> list[grading.Grade]:
    """Of the first 24 s of each."""
    rendered = [tracks.render(replace(wanted, seconds=min(wanted.seconds, 24))) for wanted in descriptions]
    kinds = [encoding.FORMATS[number % len(encoding.FORMATS)] for number in range(len(rendered))]
    return [grading.grade(listen(track, kind), track) for track, kind in zip(rendered, kinds, strict=True)]


def test_plain_tracks_of_every_key_and_format_are_nearly_all_right(listen: Listen) -> None:
    grades = graded(listen, collection.plain(24))
    assert np.mean([grade.tempo for grade in grades]) >= 0.95
    assert np.mean([grade.beats >= 0.9 for grade in grades]) >= 0.95
    assert np.mean([grade.downbeats >= 0.9 for grade in grades]) >= 0.9
    assert np.mean([grade.precision >= 0.9 for grade in grades]) >= 0.9
    assert np.mean([grade.key for grade in grades]) >= 0.95


def test_hard_tracks_are_mostly_right(listen: Listen) -> None:
    grades = graded(listen, collection.hard(16, first=20_000))
    assert np.mean([grade.tempo for grade in grades]) >= 0.85
    assert np.mean([grade.beats >= 0.9 for grade in grades]) >= 0.85
    assert np.mean([grade.key for grade in grades]) >= 0.85


@pytest.mark.parametrize("make", [sketches.sketch, drumbox.drumbox, bedroom.bedroom], ids=lambda make: make.__name__)
def test_tracks_of_other_generators_are_mostly_right(make: Callable[[int], tracks.Track], listen: Listen) -> None:
    grades = []
    for number in range(8):
        track = make(number)
        grades.append(grading.grade(listen(track, encoding.FORMATS[number % len(encoding.FORMATS)]), track))
    assert sum(grade.tempo for grade in grades) >= 7
    assert sum(grade.beats >= 0.9 for grade in grades) >= 7
    assert sum(grade.key for grade in grades) >= 7


@pytest.mark.parametrize(
    ("tempo", "pattern"),
    [
        (70.0, "click"),
        (180.0, "click"),
        (70.0, "rock"),
        (72.5, "four_on_floor_eighths"),
        (87.0, "hiphop"),
        (127.3, "four_on_floor"),
        (140.0, "two_step"),
        (174.0, "amen"),
        (174.0, "breakbeat"),
        (178.0, "four_on_floor"),
        (180.0, "four_on_floor_bare"),
        (170.0, "four_on_floor_eighths"),
    ],
)
def test_drums_alone_tell_the_octave(tempo: float, pattern: str, listen: Listen) -> None:
    track = tracks.render(tracks.Description(tempo, pattern, chord_style="none", bass_style="none", seconds=24))
    grade = grading.grade(listen(track, "wav"), track)
    assert grade.tempo
    assert grade.beats >= 0.95


def test_beats_of_a_grid_lie_within_five_milliseconds(listen: Listen) -> None:
    track = tracks.render(tracks.Description(tempo=123.45, pattern="four_on_floor", lead_in=0.777, seconds=40))
    beats = listen(track, "wav").beats
    assert beats is not None
    assert beats.steady
    assert beats.tempo == pytest.approx(123.45, rel=2e-4)
    distance = np.abs(track.beats[:, None] - beats.times[None, :]).min(axis=1)
    assert distance.max() < 0.005


@pytest.mark.parametrize(
    ("tempos", "pattern"),
    [
        (np.linspace(118, 128, 120), "rock"),
        (np.repeat([124.0, 128.0], 64), "four_on_floor"),
        (108 * (1 + 0.015 * np.sin(np.arange(120) / 20)), "backbeat_only"),
    ],
)
def test_tempo_that_drifts_or_jumps_is_followed(tempos: np.ndarray, pattern: str, listen: Listen) -> None:
    track = tracks.render_along(0.5 + np.concatenate([[0], np.cumsum(60 / tempos)]), pattern)
    beats = listen(track, "wav").beats
    assert beats is not None
    assert not beats.steady
    assert grading.share_near(track.beats, beats.times) > 0.95
    assert grading.share_near(track.downbeats, beats.downbeats) > 0.95


def test_no_beats_lie_in_the_silence_around_the_music(listen: Listen) -> None:
    track = tracks.render(tracks.Description(tempo=120, pattern="breakbeat", lead_in=3.0, seconds=23))
    heard = listen(track, "wav")
    assert heard.audible is not None and heard.beats is not None
    assert heard.audible[0] == pytest.approx(3.0, abs=0.03)
    assert heard.beats.times[0] == pytest.approx(3.0, abs=0.025)
    assert heard.beats.times[-1] <= heard.audible[1]


def test_quiet_recording_is_heard_as_well_as_a_loud_one(listen: Listen) -> None:
    loud = tracks.render(tracks.Description(97, "breakbeat", tonic=3, lead_in=0.5, seconds=20))
    quiet = replace(loud, audio=loud.audio * np.float32(0.01))
    assert grading.grade(listen(quiet, "flac"), quiet) == grading.grade(listen(loud, "flac"), loud)
    assert grading.grade(listen(quiet, "flac"), quiet).tempo


def test_first_phrase_begins_where_eight_bars_do(listen: Listen) -> None:
    # The drums rest from bar 14 of 40 on, for ten bars, so phrases begin at bars 6, 14, 22 …
    description = tracks.Description(tempo=128, seconds=75.2, breakdown=True, beats_per_chord=8, progression="I-IV")
    track = tracks.render(description)
    bars = track.downbeats.size
    rests_from = bars * 3 // 8
    beats = listen(track, "wav").beats
    assert beats is not None
    assert beats.first_phrase == 4 * (rests_from % 8)


@pytest.mark.parametrize("detune", [-40.0, -20.0, 20.0, 40.0])
def test_key_of_a_detuned_recording_is_the_nearest(detune: float, listen: Listen) -> None:
    track = tracks.render(
        tracks.Description(120, tonic=6, mode="minor", progression="i-iv-v-i", detune=detune, seconds=16)
    )
    heard = listen(track, "wav")
    assert heard.key is not None
    assert (heard.key.name, heard.key.mode_name) == ("F#", "minor")
    assert heard.notes.tuning * 100 == pytest.approx(detune, abs=6)


@pytest.mark.parametrize(
    ("mode", "progression", "tonic"),
    [("major", "I-V-vi-IV", 0), ("minor", "i-VI-III-VII", 9), ("major", "tonic", 4), ("minor", "tonic", 4)],
)
def test_relative_and_parallel_keys_are_told_apart(mode: str, progression: str, tonic: int, listen: Listen) -> None:
    track = tracks.render(tracks.Description(124, tonic=tonic, mode=mode, progression=progression, seconds=20))
    found = listen(track, "wav").key
    assert found is not None
    assert (found.tonic, found.mode_name) == (tonic, mode)
    assert found.name == key.NAMES[tonic]


def test_more_noise_makes_a_weaker_key(listen: Listen) -> None:
    clean = tracks.Description(120, chord_timbre="organ", seconds=16)
    noisy = tracks.Description(120, chord_timbre="organ", seconds=16, noise_floor=0.5)
    strengths = [found.strength for d in (clean, noisy) if (found := listen(tracks.render(d), "wav").key)]
    assert 1 >= strengths[0] > strengths[1] >= 0
