"""Times as they are shown and taken in."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.clock import EARLIEST_MS, LATEST_MS, from_rfc3339, to_rfc3339


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (-1, "1969-12-31T23:59:59.999Z"),
        (1_777_666_504_123, "2026-05-01T20:15:04.123Z"),
        (EARLIEST_MS, "0001-01-01T00:00:00.000Z"),
        (LATEST_MS, "9999-12-31T23:59:59.999Z"),
        (-(2**63), "0001-01-01T00:00:00.000Z"),
        (2**63 - 1, "9999-12-31T23:59:59.999Z"),
    ],
)
def test_time_is_shown_with_four_digits_of_its_year(milliseconds: int, text: str) -> None:
    assert to_rfc3339(milliseconds) == text


@given(st.integers(EARLIEST_MS, LATEST_MS))
def test_time_that_is_shown_is_taken_in_again(milliseconds: int) -> None:
    text = to_rfc3339(milliseconds)
    assert text is not None
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", text)
    assert from_rfc3339(text) == milliseconds


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00", "10000-01-01", "7-07-09"])
def test_time_beyond_four_digits_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        from_rfc3339(text)
