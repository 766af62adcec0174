"""AIFF and AIFF-C. Format: Apple, Audio Interchange File Format AIFF-C, 1991."""

from __future__ import annotations

from collections.abc import Iterator

from server.hashing import chunks
from server.hashing.span import Span
from server.hashing.window import Window

_AIFF = chunks.Layout("big", alignment=2)
_UNKNOWN = (0, 0xFFFFFFFF)
_ALIGNMENT_FIELDS = 8  # offset and block size


def spans(window: Window, start: int) -> Iterator[Span]:
    """The samples of the sound data chunk, behind its `offset` field's bytes of alignment."""
    chunk = chunks.find(window, start + 12, _AIFF, b"SSND")
    skip = _ALIGNMENT_FIELDS + int.from_bytes(window.read(chunk.offset, 4), "big")
    is_filled_in = chunk.size not in _UNKNOWN or chunks.is_chunk(window, chunk.offset, _AIFF)
    yield (chunks.body if is_filled_in else chunks.rest)(window, chunk, skip)
