"""Release dates: as precise as the tag gives them, no more."""

from __future__ import annotations

import re
from functools import lru_cache

EARLIEST, LATEST = 1000, 2999

_ISO = re.compile(
    r"(\d{4})(?:[-/.](\d{1,2})(?:[-/.](\d{1,2})(?:[T ](\d{2}):(\d{2})(?::(\d{2}))?(?:\.\d+)?"
    r"\s*(?:Z|UTC|[+-]\d{2}:?\d{2})?)?)?)?"
)
_COMPACT = re.compile(r"(\d{4})(\d{2})(\d{2})")
_DAY_FIRST = re.compile(r"(\d{1,2})[-/.](\d{1,2})[-/.](\d{4})")
_YEAR = re.compile(r"(?<!\d)([12]\d{3})(?!\d)")


@lru_cache(maxsize=1024)  # a library has few distinct ones
def parse(text: str) -> tuple[int | None, str | None]:
    """(year, ISO 8601 text) of a tag's date; (None, None) when no year can be made out.

    `2004`, `2004-05`, `2004-05-06` and `2004-05-06T12:30:00` stay as precise as they are; `20040506`, `2004/5/6` and
    `06.05.2004` become ISO; anything else gives the year only. Month or day 00 means "unknown" and is dropped.
    """
    text = text.strip()
    if len(text) == 4 and text.isdecimal():
        return _year_only(text)
    if (match := _ISO.fullmatch(text)) or (match := _COMPACT.fullmatch(text)):
        year, *rest = match.groups()
        return _compose(year, *rest)
    if match := _DAY_FIRST.fullmatch(text):
        day, month, year = match.groups()
        if int(month) > 12:  # then it was written the American way
            day, month = month, day
        return _compose(year, month, day)
    if match := _YEAR.search(text):
        return _year_only(match[1])
    return None, None


def _year_only(text: str) -> tuple[int | None, str | None]:
    year = int(text)
    return (year, f"{year:04d}") if EARLIEST <= year <= LATEST else (None, None)


def _compose(year_text: str, *parts: str | None) -> tuple[int | None, str | None]:
    year, date = _year_only(year_text)
    if year is None or date is None:
        return None, None
    month, day, hour, minute, second = (int(part) if part else None for part in (*parts, *[None] * 5)[:5])
    if month is None or not 1 <= month <= 12:
        return year, date
    date += f"-{month:02d}"
    if day is None or not 1 <= day <= 31:
        return year, date
    date += f"-{day:02d}"
    if hour is None or minute is None or hour > 23 or minute > 59:
        return year, date
    return year, f"{date}T{hour:02d}:{minute:02d}:{second or 0:02d}"
