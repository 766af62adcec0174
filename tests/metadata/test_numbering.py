import pytest

from server.metadata import numbering


@pytest.mark.parametrize(
    ("written", "place"),
    [
        ("3", (3, None)),
        ("03", (3, None)),
        ("3/11", (3, 11)),
        (" 3 / 11 ", (3, 11)),
        ("3 of 11", (3, 11)),
        ("/11", (None, 11)),
        ("3/", (3, None)),
        ("0/0", (None, None)),
        ("1/0", (1, None)),
        ("A1", (None, None)),
        ("", (None, None)),
        ("99999", (None, None)),
        ("123456789012345678901234567890", (None, None)),
        ("-1", (None, 1)),
    ],
)
def test_places_are_read_and_zero_means_unknown(written: str, place: tuple[int | None, int | None]) -> None:
    assert numbering.parse(written) == place
