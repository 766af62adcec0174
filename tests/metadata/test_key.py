import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.metadata import key
from server.metadata.key import MAJOR, MINOR, Key

KEYS = [Key(tonic, mode) for mode in (MINOR, MAJOR) for tonic in range(12)]


@pytest.mark.parametrize("written", ["Am", "am", "A minor", "Amin", "A-moll", "8A", "08A", " 8a ", "1m", "1M", "Am/Em"])
def test_every_spelling_of_a_minor_is_a_minor(written: str) -> None:
    assert key.parse(written) == Key(9, MINOR)


@pytest.mark.parametrize("written", ["C", "c", "C major", "Cmaj", "CM", "C dur", "8B", "1d", "1D"])
def test_every_spelling_of_c_major_is_c_major(written: str) -> None:
    assert key.parse(written) == Key(0, MAJOR)


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("F#m", "F#m"),
        ("F♯m", "F#m"),
        ("Gbm", "F#m"),
        ("F sharp minor", "F#m"),
        ("fis-moll", "F#m"),
        ("Gbmaj", "F#"),
        ("G♭ major", "F#"),
        ("BbM", "Bb"),
        ("Bbm", "Bbm"),
        ("B", "B"),
        ("H-moll", "Bm"),
        ("Es dur", "Eb"),
        ("Cb", "B"),
        ("E#m", "Fm"),
        ("D flat", "Db"),
        ("12B", "E"),
        ("5m", "Dbm"),
    ],
)
def test_accidentals_and_other_notations_are_read(written: str, name: str) -> None:
    parsed = key.parse(written)
    assert parsed is not None
    assert parsed.name == name


@pytest.mark.parametrize("written", ["", "o", "All", "13A", "0A", "8C", "K", "Amx", "Es", "128", "A B", "#", "minor"])
def test_what_is_no_key_is_none(written: str) -> None:
    assert key.parse(written) is None


@pytest.mark.parametrize(
    ("camelot", "name", "open_key"),
    [
        ("8A", "Am", "1m"),
        ("8B", "C", "1d"),
        ("1A", "Abm", "6m"),
        ("1B", "B", "6d"),
        ("11A", "F#m", "4m"),
        ("2B", "F#", "7d"),
    ],
)
def test_the_wheels_agree_with_the_printed_ones(camelot: str, name: str, open_key: str) -> None:
    parsed = key.parse(camelot)
    assert parsed is not None
    assert (parsed.camelot, parsed.name, parsed.open_key) == (camelot, name, open_key)


@pytest.mark.parametrize("one", KEYS, ids=lambda one: one.name)
def test_every_notation_leads_back_to_its_key(one: Key) -> None:
    assert [key.parse(text) for text in (one.name, one.camelot, one.open_key)] == [one, one, one]


def test_the_wheel_has_24_places() -> None:
    assert len({one.camelot for one in KEYS}) == len({one.open_key for one in KEYS}) == 24


def test_harmonic_neighbours_are_the_hour_either_way_and_the_relative_key() -> None:
    assert key.compatible("8A") == ("8A", "7A", "9A", "8B")
    assert key.compatible("12B") == ("12B", "11B", "1B", "12A")
    assert key.compatible("1A") == ("1A", "12A", "2A", "1B")


@pytest.mark.parametrize("one", KEYS, ids=lambda one: one.name)
def test_being_a_neighbour_is_mutual(one: Key) -> None:
    assert all(one in neighbour.neighbours() for neighbour in one.neighbours())


def test_compatible_refuses_what_is_no_key() -> None:
    with pytest.raises(ValueError, match="13A"):
        key.compatible("13A")


@pytest.mark.parametrize(("tonic", "mode"), [(12, 0), (-1, 1), (0, 2)])
def test_a_key_outside_the_octave_or_without_a_mode_is_refused(tonic: int, mode: int) -> None:
    with pytest.raises(ValueError, match="must be"):
        Key(tonic, mode)


def test_an_hour_outside_the_wheel_is_refused() -> None:
    with pytest.raises(ValueError, match="13"):
        Key.on_wheel(13, MINOR)


@given(st.text(max_size=20))
def test_parsing_never_fails(written: str) -> None:
    parsed = key.parse(written)
    assert parsed is None or parsed in KEYS
