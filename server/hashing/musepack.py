"""Musepack, stream versions 4 to 8.

Formats: https://wiki.hydrogenaud.io/index.php?title=Musepack, `libmpcdec/streaminfo.c` for the old headers, and
http://trac.musepack.net/musepack/wiki/SV8Specification.
"""

from __future__ import annotations

from collections.abc import Iterator

from server.hashing import errors, wrapping
from server.hashing.span import Span
from server.hashing.window import Window

_SV7_HEADER = 24  # the gain in it is rewritten by gain tools
_SV4_HEADER = 8
_MAX_PACKETS = 1 << 20
_MAX_SIZE_BYTES = 9


def spans(window: Window, start: int) -> Iterator[Span]:
    """SV8: the bodies of the audio packets. Older: the stream behind its header, up to the trailing tags."""
    magic = window.read(start, 4)
    if magic == b"MPCK":
        yield from _audio_packets(window, start + 4)
        return
    first = start + (_SV7_HEADER if magic[:3] == b"MP+" else _SV4_HEADER)
    end = wrapping.trailing(window, start)
    if first > end:
        raise errors.AudioTruncated
    yield Span(first, end - first)


def _audio_packets(window: Window, offset: int) -> Iterator[Span]:
    has_audio = False
    for _ in range(_MAX_PACKETS):
        header = window.read(offset, 2 + _MAX_SIZE_BYTES)
        size, header_size = _packet_size(header)
        if not size or size < header_size:
            break
        if header[:2] == b"AP":
            has_audio = True
            yield Span(offset + header_size, size - header_size)
        elif header[:2] == b"SE":
            return
        offset += size
    else:
        raise errors.ContainerTooComplex("There are more packets than any recording has.")
    if not has_audio:
        raise errors.AudioTruncated


def _packet_size(header: bytes) -> tuple[int, int]:
    """Bytes of the packet and of its header; 0 for the packet when there is none."""
    size = 0
    for index in range(2, len(header)):
        size = size << 7 | header[index] & 0x7F
        if not header[index] & 0x80:
            return size, index + 1
    return 0, len(header)
