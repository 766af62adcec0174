"""AAC in ADTS frames. Header: ISO/IEC 13818-7, 6.2."""

from __future__ import annotations

import re
from collections.abc import Iterator

from server.hashing import sync
from server.hashing.span import Span
from server.hashing.window import Window

_HEADER_SIZE = 7
_RESERVED_RATE = 13


def _parse(header: bytes) -> sync.Frame | None:
    if len(header) < _HEADER_SIZE or header[0] != 0xFF or header[1] & 0xF6 != 0xF0:
        return None
    length = (header[3] & 3) << 11 | header[4] << 3 | header[5] >> 5
    if header[2] >> 2 & 15 >= _RESERVED_RATE or length < _HEADER_SIZE:
        return None
    return sync.Frame(length, header[1] << 16 | (header[2] & 0xFD) << 8 | header[3] & 0xC0)


SYNTAX = sync.Syntax(pattern=re.compile(rb"\xff[\xf0\xf1\xf8\xf9]"), header_size=_HEADER_SIZE, parse=_parse)


def spans(window: Window, start: int) -> Iterator[Span]:
    """Everything from the first frame to the trailing tags."""
    yield sync.payload(window, SYNTAX, start)
