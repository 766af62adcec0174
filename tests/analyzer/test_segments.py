from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from server.analyzer import listening, segments

from . import encoding, tracks


def test_breakdown_is_a_part_of_its_own_between_two_alike(tmp_path: Path) -> None:
    wanted = tracks.Description(125, "four_on_floor", seconds=62, breakdown=True, progression="I-IV", beats_per_chord=4)
    track = tracks.render(wanted)
    bars = track.downbeats.size
    heard = listening.listen(encoding.write(tmp_path / "track.wav", track.audio, track.rate))
    found = segments.find(heard)
    assert [part.label for part in found] == ["A", "B", "A"]
    assert found[1].start == pytest.approx(track.downbeats[bars * 3 // 8], abs=0.05)
    assert found[1].end == pytest.approx(track.downbeats[bars * 5 // 8], abs=0.05)
    assert found[1].level < -1
    assert max(part.level for part in found) == 0


def test_parts_cover_the_sound_without_gaps(tmp_path: Path) -> None:
    noise = np.random.default_rng(1).uniform(-0.5, 0.5, (2, 44100 * 20)).astype(np.float32)
    noise[:, : 44100 * 2] = 0
    heard = listening.listen(encoding.write(tmp_path / "noise.wav", noise, 44100))
    found = segments.find(heard)
    assert (found[0].start, found[-1].end) == heard.audible
    assert all(before.end == after.start for before, after in pairwise(found))
