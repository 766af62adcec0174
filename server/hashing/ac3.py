"""AC-3 and E-AC-3 elementary streams. Frame headers: ATSC A/52:2018, 5.3 and annex E 2.2."""

from __future__ import annotations

import re
from collections.abc import Iterator

from server.hashing import sync
from server.hashing.span import Span
from server.hashing.window import Window

_KBITS = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640)
_SAMPLE_RATES = (48000, 44100, 32000)
_SAMPLES_PER_FRAME = 1536
_MAX_AC3, _MAX_EAC3 = 10, 16  # bit stream identification


def _parse(header: bytes) -> sync.Frame | None:
    if len(header) < 6 or header[:2] != b"\x0b\x77":
        return None
    identification, rate, size = header[5] >> 3, header[4] >> 6, header[4] & 0x3F
    if identification > _MAX_EAC3:
        return None
    if identification > _MAX_AC3:
        return sync.Frame((((header[2] & 7) << 8 | header[3]) + 1) * 2, identification << 2 | rate)
    if rate >= len(_SAMPLE_RATES) or size >> 1 >= len(_KBITS):
        return None
    words = _KBITS[size >> 1] * 1000 * _SAMPLES_PER_FRAME // 16 // _SAMPLE_RATES[rate]
    if _SAMPLE_RATES[rate] == 44100:
        words += size & 1
    return sync.Frame(words * 2, identification << 2 | rate)


SYNTAX = sync.Syntax(pattern=re.compile(rb"\x0b\x77"), header_size=6, parse=_parse)


def spans(window: Window, start: int) -> Iterator[Span]:
    """Everything from the first frame to the trailing tags."""
    yield sync.payload(window, SYNTAX, start)
