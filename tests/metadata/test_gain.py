import pytest

from server.metadata import gain


@pytest.mark.parametrize(
    ("written", "decibels"), [("-7.89 dB", -7.89), ("+2 db", 2.0), ("-7,89", -7.89), ("0.00 dB", 0.0)]
)
def test_gain_is_read_in_decibels(written: str, decibels: float) -> None:
    assert gain.parse_gain(written) == decibels


@pytest.mark.parametrize("written", ["", "loud", "-700 dB", "nan", "1e9"])
def test_a_gain_that_would_deafen_is_refused(written: str) -> None:
    assert gain.parse_gain(written) is None


def test_peak_is_a_share_of_full_scale() -> None:
    assert gain.parse_peak("0.988547") == 0.988547
    assert gain.parse_peak("1.2e0") == 1.2


@pytest.mark.parametrize("written", ["-0.5", "-3.20 dB", "", "inf", "99999"])
def test_what_is_no_peak_is_none(written: str) -> None:
    assert gain.parse_peak(written) is None


def test_opus_gain_is_moved_to_the_replaygain_reference() -> None:
    assert gain.parse_opus_gain("-256") == 4.0
    assert gain.parse_opus_gain("0") == 5.0
    assert gain.parse_opus_gain("x") is None
    assert gain.parse_opus_gain("999999") is None
