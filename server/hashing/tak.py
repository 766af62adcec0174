"""Tom's lossless Audio Kompressor. Format: as read by FFmpeg's `takdec.c`; the author published none."""

from __future__ import annotations

from collections.abc import Iterator

from server.hashing import errors, wrapping
from server.hashing.span import Span
from server.hashing.window import Window

_MAX_BLOCKS = 4096
_END_OF_METADATA = 0


def spans(window: Window, start: int) -> Iterator[Span]:
    """The frames behind the metadata blocks, up to the trailing tags."""
    offset = start + 4
    for _ in range(_MAX_BLOCKS):
        header = window.read(offset, 4)
        if len(header) < 4:
            raise errors.AudioTruncated
        offset += 4 + int.from_bytes(header[1:], "little")
        if header[0] & 0x7F == _END_OF_METADATA:
            yield Span(offset, max(0, wrapping.trailing(window, offset) - offset))
            return
    raise errors.ContainerTooComplex("There are more metadata blocks than any recording has.")
