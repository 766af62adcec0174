import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.metadata import date


@pytest.mark.parametrize(
    ("written", "parsed"),
    [
        ("2004", (2004, "2004")),
        ("2004-05", (2004, "2004-05")),
        ("2004-05-06", (2004, "2004-05-06")),
        ("2004-05-06T12:30:00Z", (2004, "2004-05-06T12:30:00")),
        ("2004-05-06 12:30", (2004, "2004-05-06T12:30:00")),
        ("2011-03-22T07:00:00+01:00", (2011, "2011-03-22T07:00:00")),
        ("20040506", (2004, "2004-05-06")),
        ("2004/5/6", (2004, "2004-05-06")),
        ("06.05.2004", (2004, "2004-05-06")),
        ("05/26/2004", (2004, "2004-05-26")),
        ("2004-00-00", (2004, "2004")),
        ("2004-05-00", (2004, "2004-05")),
        ("2004-13-01", (2004, "2004")),
        ("May 6, 2004", (2004, "2004")),
        ("(c) 1998 Warp", (1998, "1998")),
        (" 1974 ", (1974, "1974")),
    ],
)
def test_dates_stay_as_precise_as_they_are(written: str, parsed: tuple[int, str]) -> None:
    assert date.parse(written) == parsed


@pytest.mark.parametrize("written", ["", "0", "0000", "0000-01-01", "unknown", "98", "12345", "٢٠٠٤"])
def test_what_names_no_year_is_no_date(written: str) -> None:
    assert date.parse(written) in ((None, None), (2004, "2004"))  # Arabic digits may be read, but not misread


@given(st.text(max_size=40))
def test_a_date_always_begins_with_its_year(written: str) -> None:
    year, text = date.parse(written)
    assert (year is None) == (text is None)
    assert text is None or text.startswith(f"{year:04d}")
