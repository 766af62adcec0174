from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from server.analyzer import decode, stems

from . import encoding

RATE = 44100
SECONDS = 8


def _tone(hertz: float) -> NDArray[np.float64]:
    return np.asarray(0.3 * np.sin(2 * np.pi * hertz * np.arange(SECONDS * RATE) / RATE))


def _clicks() -> NDArray[np.float64]:
    clicks = np.zeros(SECONDS * RATE)
    burst = np.random.default_rng(1).uniform(-0.8, 0.8, 400) * np.exp(-np.arange(400) / 80)
    for start in range(0, clicks.size - 400, RATE // 2):
        clicks[start : start + 400] = burst
    return clicks


PARTS = {
    "bass": np.tile(_tone(60), (2, 1)),
    "drums": np.tile(_clicks(), (2, 1)),
    "vocals": np.tile(_tone(700), (2, 1)),
    "other": np.stack([_tone(1500), -_tone(1500)]),
}


def _decoded(path: Path) -> NDArray[np.float32]:
    return np.concatenate(list(decode.open_recording(path).blocks()), axis=1)


@pytest.fixture(scope="module")
def separated(tmp_path_factory: pytest.TempPathFactory) -> tuple[NDArray[np.float32], dict[str, NDArray[np.float32]]]:
    folder = tmp_path_factory.mktemp("stems")
    mix = np.sum(list(PARTS.values()), axis=0).astype(np.float32) / 2
    path = encoding.write(folder / "mix.wav", mix, RATE)
    return mix, {name: _decoded(stem) for name, stem in stems.separate(path, folder).items()}


@pytest.mark.parametrize("name", stems.NAMES)
def test_each_kind_of_sound_goes_to_its_stem(
    name: str, separated: tuple[NDArray[np.float32], dict[str, NDArray[np.float32]]]
) -> None:
    _, found = separated
    likeness = {stem: abs(float(np.corrcoef(PARTS[name][0], audio[0])[0, 1])) for stem, audio in found.items()}
    assert likeness[name] > 0.9
    assert max(value for stem, value in likeness.items() if stem != name) < 0.35


def test_stems_add_up_to_the_original(
    separated: tuple[NDArray[np.float32], dict[str, NDArray[np.float32]]],
) -> None:
    mix, found = separated
    total = np.sum(list(found.values()), axis=0)
    assert total.shape == mix.shape
    assert np.abs(total - mix).max() < 4 * 2**-15


@pytest.mark.parametrize("samples", [1, 1000, 300_000])
def test_mono_of_any_length_gives_stems_as_long(samples: int, tmp_path: Path) -> None:
    noise = np.random.default_rng(1).uniform(-0.5, 0.5, (1, samples)).astype(np.float32)
    path = encoding.write(tmp_path / "mono.wav", noise, RATE)
    for stem in stems.separate(path, tmp_path, "wav").values():
        assert _decoded(stem).shape == (1, samples)
