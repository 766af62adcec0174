import pytest

from server.metadata import tempo


@pytest.mark.parametrize(
    ("written", "beats_per_minute"),
    [("128", 128.0), ("128.00 BPM", 128.0), ("128,5", 128.5), ("174.02", 174.02), (" 90bpm ", 90.0), ("~120", 120.0)],
)
def test_tempo_is_read_in_the_ways_taggers_write_it(written: str, beats_per_minute: float) -> None:
    assert tempo.parse(written) == beats_per_minute


@pytest.mark.parametrize("written", ["", "0", "0.00", "5", "12800", "1e3", "-128", "fast", "128-130", "NaN", "inf"])
def test_absurd_tempos_are_refused(written: str) -> None:
    assert tempo.parse(written) is None
