"""Beats per minute as taggers write them."""

from __future__ import annotations

import re
from functools import lru_cache

SLOWEST, FASTEST = 20.0, 999.0

_TEMPO = re.compile(r"~?\s*(\d{1,4})(?:[.,](\d{1,12}))?\s*(?:bpm)?", re.IGNORECASE)


@lru_cache(maxsize=1024)  # a library has few distinct ones
def parse(text: str) -> float | None:
    """`128`, `128.00 BPM` and `128,5` as a number; None for what can't be a tempo (0 means "not set")."""
    match = _TEMPO.fullmatch(text.strip())
    if match is None:
        return None
    tempo = float(f"{match[1]}.{match[2] or 0}")
    return tempo if SLOWEST <= tempo <= FASTEST else None
