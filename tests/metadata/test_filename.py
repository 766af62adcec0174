import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.metadata.filename import Guess, guess


@pytest.mark.parametrize(
    ("name", "guessed"),
    [
        ("01 - Artist - Title (Mix).mp3", Guess("Title (Mix)", "Artist", track_number=1)),
        ("01. Title.mp3", Guess("Title", track_number=1)),
        ("01 Title.mp3", Guess("Title", track_number=1)),
        ("12 Artist - Title.mp3", Guess("Title", "Artist", track_number=12)),
        ("Artist - Title.mp3", Guess("Title", "Artist")),
        ("Artist – Title – Pt. 2.flac", Guess("Title – Pt. 2", "Artist")),
        ("Title.mp3", Guess("Title")),
        ("#03 Artist - Title.mp3", Guess("Title", "Artist", track_number=3)),
        ("CD1 - 03 - Artist - Title.mp3", Guess("Title", "Artist", track_number=3, disc_number=1)),
        ("cd1-03-artist-the_title.mp3", Guess("the title", "artist", track_number=3, disc_number=1)),
        ("Artist- Title.mp3", Guess("Title", "Artist")),
        ("Artist -Title.mp3", Guess("Title", "Artist")),
        ("Artist–Title.mp3", Guess("Title", "Artist")),
        ("Jay-Z -Title.mp3", Guess("Title", "Jay-Z")),
        ("- Title.mp3", Guess("Title")),
        ("Title -.mp3", Guess("Title")),
        ("A1 Title.flac", Guess("Title")),
        ("B2. Artist - Title.wav", Guess("Title", "Artist")),
        ("1-03 Title.mp3", Guess("Title", track_number=3, disc_number=1)),
        ("1-03 - Artist - Title.mp3", Guess("Title", "Artist", track_number=3, disc_number=1)),
        ("CD2-03 Title.mp3", Guess("Title", track_number=3, disc_number=2)),
        ("[03] Artist - Title.mp3", Guess("Title", "Artist", track_number=3)),
        ("(03) Title.mp3", Guess("Title", track_number=3)),
        ("Track 03 - Title.mp3", Guess("Title", track_number=3)),
        ("101 - Artist - Title.mp3", Guess("Title", "Artist", track_number=101)),
        ("Artist - Album - 03 - Title.mp3", Guess("Title", "Artist", "Album", 3)),
        ("Artist - 03 - Title.mp3", Guess("Title", "Artist", track_number=3)),
        ("01_artist_name_-_track_title.mp3", Guess("track title", "artist name", track_number=1)),
        ("01-artist_name-track_title.mp3", Guess("track title", "artist name", track_number=1)),
        ("Artist_Name_-_Title.mp3", Guess("Title", "Artist Name")),
        ("03-Title.mp3", Guess("Title", track_number=3)),
    ],
)
def test_the_usual_forms_of_file_names_are_read(name: str, guessed: Guess) -> None:
    assert guess(name) == guessed


@pytest.mark.parametrize(
    ("name", "guessed"),
    [
        ("50 Cent - In Da Club.mp3", Guess("In Da Club", "50 Cent")),
        ("2 Unlimited - No Limit.mp3", Guess("No Limit", "2 Unlimited")),
        ("808 State - Pacific.mp3", Guess("Pacific", "808 State")),
        ("10cc - I'm Not in Love.mp3", Guess("I'm Not in Love", "10cc")),
        ("99 Luftballons.mp3", Guess("99 Luftballons")),
        ("1999.mp3", Guess("1999")),
        ("24-7.mp3", Guess("24-7")),
        ("U2 - One.mp3", Guess("One", "U2")),
        ("a-ha - Take On Me.mp3", Guess("Take On Me", "a-ha")),
        ("Jay-Z.mp3", Guess("Jay-Z")),
        ("Mr. Oizo - Flat Beat.mp3", Guess("Flat Beat", "Mr. Oizo")),
        ("2-Step Anthem.mp3", Guess("2-Step Anthem")),
    ],
)
def test_numbers_and_hyphens_in_names_are_left_alone(name: str, guessed: Guess) -> None:
    assert guess(name) == guessed


def test_a_name_that_is_no_utf_8_is_read_all_the_same() -> None:
    assert guess("01 - Bj\udcf6rk - J\udcf3ga.mp3") == Guess("Jóga", "Björk", track_number=1)


@pytest.mark.parametrize("name", ["", ".mp3", "-.mp3", " - .mp3", "01 - .mp3", "___.mp3", "\x00\x01"])
def test_even_a_meaningless_name_has_a_title(name: str) -> None:
    assert guess(name).title


@given(st.text(st.characters(exclude_categories=[]), max_size=80))
def test_every_name_has_a_title_in_valid_text(name: str) -> None:
    guessed = guess(name)
    assert guessed.title
    guessed.title.encode()
    (guessed.artist or "").encode()
