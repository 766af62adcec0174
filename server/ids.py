"""Identifiers: UUID version 7 of RFC 9562, whose leading timestamp keeps inserts at the end of an index."""

from __future__ import annotations

import os
import re
import time

# A UUID in lower-case text, as a regular expression.
PATTERN = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_ID = re.compile(PATTERN)


def new_id() -> str:
    """A UUIDv7 as lower-case text: 48 bits of Unix milliseconds, then 74 random bits (RFC 9562, section 5.7)."""
    milliseconds = time.time_ns() // 1_000_000
    random = int.from_bytes(os.urandom(10))
    value = (milliseconds & (1 << 48) - 1) << 80 | 0x7 << 76 | (random >> 62 & 0xFFF) << 64
    text = f"{value | 0b10 << 62 | random & (1 << 62) - 1:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def is_id(text: str) -> bool:
    """Whether `text` is a UUID in the form Mismo writes: lower-case, with hyphens."""
    return _ID.fullmatch(text) is not None
