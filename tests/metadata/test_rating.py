import pytest

from server.metadata import rating


@pytest.mark.parametrize(("byte", "stars"), [(1, 1), (64, 2), (128, 3), (196, 4), (255, 5)])
def test_windows_and_mediamonkey_bytes_are_whole_stars(byte: int, stars: int) -> None:
    assert rating.from_popularimeter("Windows Media Player 9 Series", byte) == stars
    assert rating.from_popularimeter("no@email", byte) == stars


@pytest.mark.parametrize("stars", [1, 2, 3, 4, 5])
def test_linear_bytes_are_whole_stars_whoever_wrote_them(stars: int) -> None:
    assert rating.from_popularimeter("rating@example.org", stars * 51) == stars
    assert rating.from_popularimeter("traktor@native-instruments.de", stars * 51) == stars


def test_half_stars_are_rounded_up() -> None:
    assert [rating.from_popularimeter("MusicBee", byte) for byte in (13, 54, 118, 186, 242)] == [1, 2, 3, 4, 5]


def test_quod_libet_is_linear_between_the_stars() -> None:
    assert rating.from_popularimeter("quodlibet@lists.sacredchao.net", 127) == 2
    assert rating.from_popularimeter("someone else", 127) == 3


@pytest.mark.parametrize("byte", [0, -1, 256])
def test_an_unset_popularimeter_is_no_rating(byte: int) -> None:
    assert rating.from_popularimeter("", byte) is None


@pytest.mark.parametrize(("value", "stars"), [("1", 1), ("25", 2), ("50", 3), ("75", 4), ("99", 5)])
def test_windows_media_ratings_are_whole_stars(value: str, stars: int) -> None:
    assert rating.from_windows(value) == stars


def test_an_unset_windows_rating_is_none() -> None:
    assert rating.from_windows("0") is None
    assert rating.from_windows("five") is None


@pytest.mark.parametrize(
    ("written", "stars"),
    [("0.8", 4), ("1.0", 5), ("0.0", 0), ("4", 4), ("5", 5), ("0", 0), ("8", 4), ("80", 4), ("100", 5), ("204", 4)],
)
def test_free_text_ratings_are_told_apart_by_their_size(written: str, stars: int) -> None:
    assert rating.from_free_text(written) == stars


@pytest.mark.parametrize("written", ["", "good", "-1", "999", "4 stars", "1e3"])
def test_what_is_no_rating_is_none(written: str) -> None:
    assert rating.from_free_text(written) is None


def test_fractions_and_percentages() -> None:
    assert rating.from_fraction("0.6") == 3
    assert rating.from_fraction("3") is None
    assert rating.from_percent("60") == 3
    assert rating.from_percent("101") is None
