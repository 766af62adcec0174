import pytest
from mutagen.id3 import TCON

from server.metadata import genre


@pytest.mark.parametrize(
    ("written", "names"),
    [
        ("Rock", ["Rock"]),
        ("17", ["Rock"]),
        ("(17)", ["Rock"]),
        ("(17)Rock", ["Rock"]),
        ("(4)Eurodisco", ["Disco", "Eurodisco"]),
        ("(51)(39)", ["Techno-Industrial", "Noise"]),
        ("RX", ["Remix"]),
        ("(CR)", ["Cover"]),
        ("((Bracketed)", ["(Bracketed)"]),
        ("(255)", ["(255)"]),
        ("255", ["255"]),
        ("Drum & Bass / Jungle", ["Drum & Bass / Jungle"]),
        ("House;Tech House", ["House;Tech House"]),
        ("(40)", ["AlternRock"]),
        ("1999", ["1999"]),
        ("", [""]),
    ],
)
def test_references_become_names_and_names_stay(written: str, names: list[str]) -> None:
    assert genre.resolve(written) == names


def test_references_resolve_as_mutagen_resolves_them() -> None:
    for number in range(192):
        for written in (str(number), f"({number})", f"({number})Own name"):
            expected = [name if name != "Alt. Rock" else "AlternRock" for name in TCON(3, [written]).genres]
            assert genre.resolve(written) == expected


def test_numbers_outside_the_list_have_no_name() -> None:
    assert genre.named(-1) is None
    assert genre.named(192) is None
