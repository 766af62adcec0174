"""RIFF/WAVE, its 64-bit kin RF64 and BW64, and Sony Wave64.

Formats: Microsoft RIFF; EBU Tech 3306 and ITU-R BS.2088 for `ds64`; Sony Pictures Digital's Wave64 specification.
"""

from __future__ import annotations

from collections.abc import Iterator

from server.hashing import chunks, errors
from server.hashing.span import Span
from server.hashing.window import Window

_RIFF = chunks.Layout("little", alignment=2)
_W64 = chunks.Layout("little", id_size=16, size_size=8, counts_header=True, alignment=8)
_W64_DATA = b"data\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a"
_UNKNOWN = 0xFFFFFFFF


def wave_spans(window: Window, start: int) -> Iterator[Span]:
    """The body of the `data` chunk.

    A size of 0 or 0xFFFFFFFF is what a writer leaves that couldn't seek back: the samples then reach to the end.
    """
    large_size = 0
    for chunk in chunks.walk(window, start + 12, _RIFF):
        if chunk.kind == b"ds64":
            large_size = int.from_bytes(window.read(chunk.offset + 8, 8), "little")
        elif chunk.kind == b"data":
            size = large_size if chunk.size == _UNKNOWN else chunk.size
            is_filled_in = size or chunks.is_chunk(window, chunk.offset, _RIFF)
            yield (chunks.body if is_filled_in else chunks.rest)(window, chunk._replace(size=size))
            return
    raise errors.AudioTruncated


def wave64_spans(window: Window, start: int) -> Iterator[Span]:
    """The body of the `data` chunk, to the end of the file when its size was never filled in."""
    chunk = chunks.find(window, start + 40, _W64, _W64_DATA)
    yield chunks.body(window, chunk) if chunk.size > 0 else chunks.rest(window, chunk)
