"""Sun and NeXT audio, `.au` and `.snd`. Format: audio(7) of SunOS, the structure `audio_filehdr`."""

from __future__ import annotations

from collections.abc import Iterator

from server.hashing import chunks, errors
from server.hashing.span import Span
from server.hashing.window import Window

_SMALLEST_HEADER = 24


def spans(window: Window, start: int) -> Iterator[Span]:
    """Everything behind the header and its annotation; the size field says 0xFFFFFFFF for "to the end"."""
    header = window.read(start, _SMALLEST_HEADER)
    if len(header) < _SMALLEST_HEADER:
        raise errors.AudioTruncated
    offset, size = int.from_bytes(header[4:8], "big"), int.from_bytes(header[8:12], "big")
    if offset < _SMALLEST_HEADER:
        raise errors.ContainerDamaged("The audio is said to begin inside the header.")
    yield chunks.body(window, chunks.Chunk(b".snd", start + offset, size))
