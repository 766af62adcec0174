import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from server.metadata import text

any_text = st.text(st.characters(exclude_categories=[]), max_size=200)


def test_controls_are_stripped_and_blanks_trimmed() -> None:
    assert text.clean("\x00 A\x07b\u202e c \x1f") == "Ab c"


def test_line_breaks_stay_in_comments_only() -> None:
    assert text.clean("one\r\ntwo\rthree", multiline=True) == "one\ntwo\nthree"
    assert text.clean("one\r\ntwo\n three") == "one two three"


def test_lone_surrogates_are_replaced() -> None:
    assert text.clean("a\ud800b") == "a\ufffdb"


def test_letters_of_all_scripts_stay() -> None:
    for name in ("Björk", "電音", "Мумий Тролль", "Ξένη", "مزيكا", "🔥", "e\u0301", "a\u00a0b", "\u200dx"):
        assert text.clean(name) == name


def test_long_text_is_cut_between_letters() -> None:
    cut = text.clean("é" * 5000)
    assert cut == "é" * 2048
    assert len(text.clean("x" * 10_000_000, text.COMMENT_LIMIT)) == text.COMMENT_LIMIT


def test_nuls_separate_values_and_repetitions_count_once() -> None:
    assert text.values(["A\0B", " A ", "", "C"]) == ("A", "B", "C")
    assert text.values(["only"]) == ("only",)
    assert text.values(["\0"]) == ()
    assert text.first(["", "\0\0second\0third"]) == "second"
    assert text.first([]) is None


@given(any_text, st.integers(4, 100))
def test_clean_text_is_valid_bounded_and_stays_as_it_is(raw: str, limit: int) -> None:
    cleaned = text.clean(raw, limit)
    assert len(cleaned.encode()) <= limit
    assert text.clean(cleaned, limit) == cleaned
    assert not any(unicodedata.category(letter) in ("Cc", "Cs") for letter in cleaned)


@given(st.lists(any_text, max_size=4))
def test_the_first_value_is_the_first_of_all_values(raws: list[str]) -> None:
    values = text.values(raws)
    assert text.first(raws) == (values[0] if values else None)


def test_a_file_name_in_another_encoding_is_shown_as_windows_would() -> None:
    assert text.from_file_name("Bj\udcf6rk.mp3") == "Björk.mp3"
    assert text.from_file_name(unicodedata.normalize("NFD", "Björk.mp3")) == "Björk.mp3"
    text.from_file_name("\ud800.mp3").encode()


@given(st.binary(max_size=60))
def test_every_name_a_file_can_have_becomes_valid_text(raw: bytes) -> None:
    text.from_file_name(raw.decode(errors="surrogateescape")).encode()
