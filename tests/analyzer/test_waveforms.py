from base64 import b64decode

import numpy as np
import pytest
from numpy.typing import NDArray

from server.analyzer import envelope, waveforms

RATE = envelope.RATE


def draw(audio: NDArray[np.floating], rate: int = RATE) -> list[waveforms.Waveform]:
    follower = envelope.Follower()
    samples = audio.astype(np.float32)
    for start in range(0, samples.size, 10_007):
        follower.feed(samples[start : start + 10_007])
    return waveforms.draw(follower.finish(), round(audio.size * rate / RATE), rate)


def tone(hertz: float, seconds: float = 32, amplitude: float = 1.0) -> NDArray[np.float64]:
    return np.asarray(amplitude * np.sin(2 * np.pi * hertz * np.arange(int(seconds * RATE)) / RATE))


@pytest.mark.parametrize(("hertz", "band"), [(60, 0), (800, 1), (9000, 2)])
def test_tone_shows_in_its_own_band(hertz: float, band: int) -> None:
    for drawn in draw(tone(hertz)):
        middle = slice(drawn.amplitude.shape[1] // 4, drawn.amplitude.shape[1] // 2)
        levels = drawn.amplitude[:, middle].max(axis=1)
        others = np.delete(levels, band)
        assert levels[band] > 220
        assert others.max() < levels[band] / 3


def test_zoom_levels_have_their_pixels_and_a_whole_number_of_samples_each() -> None:
    drawn = draw(tone(100), rate=44100)
    samples = 32 * 44100
    assert [level.zoom_level for level in drawn] == [0, 1, 2]
    assert [level.amplitude.shape for level in drawn] == [(3, 1000), (3, 4000), (3, 16000)]
    for level in drawn:
        pixels = level.amplitude.shape[1]
        assert (level.samples_per_pixel - 1) * pixels < samples <= level.samples_per_pixel * pixels


def test_pixels_tell_where_a_sound_is() -> None:
    audio = np.zeros(40 * RATE)
    audio[20 * RATE : 21 * RATE] = tone(800, 1)
    for level in draw(audio, rate=48000):
        loud = np.flatnonzero(level.amplitude[1] > 100) * level.samples_per_pixel / 48000
        pixel = level.samples_per_pixel / 48000
        assert loud[0] == pytest.approx(20, abs=pixel + 0.002)
        assert loud[-1] + pixel == pytest.approx(21, abs=pixel + 0.002)


def test_amplitude_is_linear_and_intensity_logarithmic() -> None:
    full, half = draw(tone(800))[0], draw(tone(800, amplitude=0.5))[0]
    assert half.amplitude[1, 500] == pytest.approx(full.amplitude[1, 500] / 2, abs=1)
    six_decibels = 255 * 6.02 / 60
    assert full.intensity[1, 500] - half.intensity[1, 500] == pytest.approx(six_decibels, abs=1)


def test_silence_is_all_zero_and_one_sample_is_enough() -> None:
    for level in draw(np.zeros(RATE)):
        assert not level.amplitude.any()
        assert not level.intensity.any()
    assert [level.samples_per_pixel for level in draw(np.ones(1))] == [1, 1, 1]


def test_payload_holds_six_planes_of_bytes() -> None:
    level = draw(tone(60))[0]
    payload = level.payload()
    planes = [name for name in payload if "_freq_" in name]
    assert sorted(planes) == sorted(
        f"{band}_freq_{kind}" for band in ("low", "mid", "high") for kind in ("amplitude", "intensity")
    )
    for name in planes:
        assert len(b64decode(str(payload[name]))) == payload["num_pixels"] == 1000
    assert b64decode(str(payload["low_freq_amplitude"])) == level.amplitude[0].tobytes()
