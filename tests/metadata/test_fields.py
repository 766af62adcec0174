import pytest

from server.metadata import fields


@pytest.mark.parametrize("name", ["ALBUMARTIST", "Album Artist", "album_artist", "album-artist", "ENSEMBLE"])
def test_writing_a_name_differently_is_the_same_field(name: str) -> None:
    assert fields.of(name) == "album_artist"


@pytest.mark.parametrize("name", ["", "MUSICBRAINZ_ALBUMID", "titlesort", "x" * 10_000, "日本"])
def test_unknown_names_belong_to_no_field(name: str) -> None:
    assert fields.of(name) is None


def test_no_name_belongs_to_two_fields() -> None:
    aliases = [alias for names in fields.ALIASES.values() for alias in names]
    assert len(aliases) == len(set(aliases))
    assert all(fields.of(alias) == name for name, names in fields.ALIASES.items() for alias in names)
