"""AAC behind a single ADIF header. Format: ISO/IEC 13818-7, 6.1."""

from __future__ import annotations

from collections.abc import Iterator

from server.hashing import wrapping
from server.hashing.span import Span
from server.hashing.window import Window

_MAGIC_SIZE = 4


def spans(window: Window, start: int) -> Iterator[Span]:
    """Everything behind the magic number: the header ends in the middle of a byte, and no tagger changes it."""
    first = start + _MAGIC_SIZE
    yield Span(first, max(0, wrapping.trailing(window, first) - first))
