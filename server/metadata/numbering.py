"""A place in a sequence: track 3 of 11, disc 1 of 2."""

from __future__ import annotations

import re
from functools import lru_cache

HIGHEST = 65_535  # the most that MP4 and ASF can hold

_PLACE = re.compile(r"#?\s*(\d{1,9})?\s*(?:(?:/|\\|of|-)\s*(\d{1,9})?)?\.?", re.IGNORECASE)


@lru_cache(maxsize=1024)  # a library has few distinct ones
def parse(text: str) -> tuple[int | None, int | None]:
    """(number, total) of `3`, `03/11`, `3 of 11`, `/11`. What isn't there, or is 0 or absurd, is None."""
    if text.isdecimal() and len(text) <= 5:  # by far the most common
        return _sane(int(text)), None
    match = _PLACE.fullmatch(text.strip())
    if match is None:
        return None, None
    return (_sane(int(match[1])) if match[1] else None), (_sane(int(match[2])) if match[2] else None)


def _sane(number: int) -> int | None:
    return number if 0 < number <= HIGHEST else None
