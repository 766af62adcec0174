"""Core Audio Format. Format: Apple, Core Audio Format Specification 1.0."""

from __future__ import annotations

from collections.abc import Iterator

from server.hashing import chunks
from server.hashing.span import Span
from server.hashing.window import Window

_CAF = chunks.Layout("big", size_size=8)
_UNKNOWN = (1 << 64) - 1
_EDIT_COUNT = 4  # bytes; raised by editors without a change to the audio


def spans(window: Window, start: int) -> Iterator[Span]:
    """The body of the `data` chunk behind its edit count."""
    chunk = chunks.find(window, start + 8, _CAF, b"data")
    yield (chunks.rest if chunk.size == _UNKNOWN else chunks.body)(window, chunk, _EDIT_COUNT)
