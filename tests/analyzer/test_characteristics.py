from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from server.analyzer import characteristics, listening
from server.analyzer.characteristics import Characteristics

from . import encoding, tracks

DOCS = Path(__file__).resolve().parents[2] / "docs" / "analysis.md"


@pytest.fixture(scope="module")
def described(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Characteristics]:
    folder = tmp_path_factory.mktemp("described")
    dance = tracks.Description(124, "four_on_floor", mode="major", progression="I-IV", seconds=16)
    wanted = {
        "dance": dance,
        "dark": replace(dance, mode="minor", progression="i-iv"),
        "slow": replace(dance, tempo=72, pattern="backbeat_only", chord_timbre="sine", drum_gain=0.05),
    }
    found = {}
    for name, description in wanted.items():
        track = tracks.render(description)
        audio = track.audio * (0.2 if name == "slow" else 1)
        found[name] = characteristics.describe(
            listening.listen(encoding.write(folder / f"{name}.wav", audio, track.rate))
        )
    return found


def test_steady_kick_at_124_is_more_danceable_than_a_soft_slow_song(described: dict[str, Characteristics]) -> None:
    assert described["dance"].danceability > 0.7
    assert described["slow"].danceability < described["dance"].danceability - 0.2


def test_loud_and_quick_arouses_and_quiet_sounds_acoustic(described: dict[str, Characteristics]) -> None:
    assert described["dance"].arousal > described["slow"].arousal + 1
    assert described["slow"].acousticness > described["dance"].acousticness + 0.1


def test_minor_has_less_valence_than_major(described: dict[str, Characteristics]) -> None:
    assert described["dark"].valence < described["dance"].valence - 0.5


def test_onset_rate_counts_onsets(tmp_path: Path) -> None:
    track = tracks.render(tracks.Description(120, "click", chord_style="none", bass_style="none", seconds=20))
    heard = listening.listen(encoding.write(tmp_path / "clicks.wav", track.audio, track.rate))
    assert characteristics.onset_rate(heard.onsets) == pytest.approx(2, rel=0.1)


def test_every_figure_is_finite_named_and_documented(described: dict[str, Characteristics]) -> None:
    figures = asdict(described["dance"])
    assert np.isfinite(list(figures.values())).all()
    assert figures.keys() == characteristics.METHODS.keys()
    text = DOCS.read_text()
    assert [name for name in figures if f"`{name}`" not in text] == []
