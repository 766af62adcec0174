"""Loudness against the figures that EBU Tech 3341 and 3342 demand of a meter."""

import contextlib
import math
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from server.analyzer import characteristics, listening
from server.analyzer.loudness import SILENCE, Loudness, Meter, k_weighting

from . import encoding, tracks

RATE = 48000
STEREO = ("FL", "FR")


def sine(*parts: tuple[float, float], hertz: float = 1000, rate: int = RATE) -> NDArray[np.float32]:
    """A sine at given (level in dBFS, seconds), one after the other."""
    levels = np.concatenate([np.full(int(seconds * rate), 10 ** (level / 20)) for level, seconds in parts])
    return (levels * np.sin(2 * np.pi * hertz * np.arange(levels.size) / rate)).astype(np.float32)


def measure(audio: NDArray[np.float32], channels: tuple[str, ...] = STEREO, rate: int = RATE) -> Loudness:
    meter = Meter(rate, channels)
    for start in range(0, audio.shape[1], 10_007):
        meter.feed(audio[:, start : start + 10_007])
    return meter.finish()


def in_both(*parts: tuple[float, float]) -> NDArray[np.float32]:
    return np.tile(sine(*parts), (2, 1))


TECH_3341 = {
    "case 1": (in_both((-23, 20)), -23.0),
    "case 2": (in_both((-33, 20)), -33.0),
    "case 3, relative gate": (in_both((-36, 10), (-23, 60), (-36, 10)), -23.0),
    "case 4, both gates": (in_both((-72, 10), (-36, 10), (-23, 60), (-36, 10), (-72, 10)), -23.0),
    "case 5": (in_both((-26, 20), (-20, 20.1), (-26, 20)), -23.0),
}


@pytest.mark.parametrize("case", TECH_3341)
def test_integrated_loudness_meets_ebu_tech_3341(case: str) -> None:
    audio, expected = TECH_3341[case]
    assert measure(audio).integrated == pytest.approx(expected, abs=0.1)


@pytest.mark.parametrize("kind", ["wav", "flac", "aiff"])
@pytest.mark.parametrize("case", ["case 1", "case 5"])
def test_file_with_a_reference_signal_reads_as_the_signal(case: str, kind: str, tmp_path: Path) -> None:
    audio, expected = TECH_3341[case]
    heard = listening.listen(encoding.write(tmp_path / f"sine.{kind}", audio, RATE))
    assert characteristics.describe(heard).loudness == pytest.approx(expected, abs=0.2)


@pytest.mark.parametrize("kind", encoding.FORMATS)
def test_file_with_music_is_as_loud_as_another_meter_says_in_every_format(kind: str, tmp_path: Path) -> None:
    track = tracks.render(tracks.Description(124, "four_on_floor", seconds=16))
    path = encoding.write(tmp_path / f"music.{kind}", track.audio, track.rate)
    assert characteristics.describe(listening.listen(path)).loudness == pytest.approx(by_libavfilter(path), abs=0.2)


def by_libavfilter(path: Path) -> float:
    """Integrated loudness (LUFS) by FFmpeg's `ebur128`, an independent implementation of BS.1770."""
    with av.open(str(path)) as container:
        graph = av.filter.Graph()
        graph.link_nodes(
            graph.add_abuffer(template=container.streams.audio[0]),
            graph.add("ebur128", "metadata=1"),
            graph.add("abuffersink"),
        ).configure()
        loudness = math.nan
        for frame in (*container.decode(audio=0), None):
            graph.push(frame)
            with contextlib.suppress(av.error.BlockingIOError, av.error.EOFError):
                while True:
                    loudness = float(graph.pull().metadata.get("lavfi.r128.I", loudness))
    return loudness


def test_surround_channels_count_more_as_tech_3341_case_6_demands() -> None:
    levels = (-28, -28, -24, -30, -30)
    audio = np.stack([sine((level, 20)) for level in levels])
    assert measure(audio, ("FL", "FR", "FC", "BL", "BR")).integrated == pytest.approx(-23.0, abs=0.1)


def test_low_frequency_effects_do_not_count() -> None:
    audio = np.stack([sine((-23, 5)), sine((-23, 5)), sine((-6, 5))])
    with_effects = measure(audio, ("FL", "FR", "LFE")).integrated
    assert with_effects == pytest.approx(measure(audio[:2]).integrated, abs=1e-6)


def test_full_scale_sine_in_one_channel_reads_minus_3_01() -> None:
    tone = sine((0, 10), hertz=997)
    assert measure(np.stack([tone, np.zeros_like(tone)])).integrated == pytest.approx(-3.01, abs=0.02)


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 44100, 96000, 192000])
def test_loudness_does_not_depend_on_the_sample_rate(rate: int) -> None:
    audio = np.tile(sine((-23, 5), rate=rate), (2, 1))
    assert measure(audio, rate=rate).integrated == pytest.approx(-23.0, abs=0.1)


def test_filter_at_48_khz_is_the_one_bs_1770_prints() -> None:
    shelf, cut = k_weighting(48000)
    assert shelf == pytest.approx(
        [1.53512485958697, -2.69169618940638, 1.19839281085285, 1, -1.69065929318241, 0.73248077421585], abs=1e-8
    )
    assert cut == pytest.approx([1, -2, 1, 1, -1.99004745483398, 0.99007225036621], abs=1e-8)


TECH_3342 = {
    "case 1": (in_both((-20, 20), (-30, 20)), 10),
    "case 2": (in_both((-20, 20), (-15, 20)), 5),
    "case 3": (in_both((-40, 20), (-20, 20)), 20),
    "case 4": (in_both((-50, 20), (-35, 20), (-20, 20), (-35, 20), (-50, 20)), 15),
}


@pytest.mark.parametrize("case", TECH_3342)
def test_loudness_range_meets_ebu_tech_3342(case: str) -> None:
    audio, expected = TECH_3342[case]
    assert measure(audio).range == pytest.approx(expected, abs=1)


@pytest.mark.parametrize("samples", [0, 1, 4799, 4800, 20_000])
def test_silence_and_clips_shorter_than_a_gating_block_have_finite_loudness(samples: int) -> None:
    measured = measure(np.zeros((2, samples), np.float32))
    assert measured == Loudness(SILENCE, 0.0, -120.0, -120.0)


def test_half_a_second_is_long_enough_to_measure() -> None:
    assert measure(np.tile(sine((-23, 0.5)), (2, 1))).integrated == pytest.approx(-23, abs=0.2)


def test_peak_and_rms_are_in_dbfs() -> None:
    measured = measure(in_both((-6, 2)))
    assert measured.peak == pytest.approx(-6, abs=0.01)
    assert measured.rms == pytest.approx(-9.01, abs=0.01)
