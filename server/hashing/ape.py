"""Monkey's Audio. Format: the structures in MACLib's `APEInfo` headers, versions 3.93 to 10."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from server.hashing import errors, wrapping
from server.hashing.span import Span
from server.hashing.window import Window

_HAS_DESCRIPTOR = 3980  # version × 1000
_DESCRIPTOR = struct.Struct("<8x7I")  # sizes: descriptor, header, seek table, wave header, frames low and high, trailer
_OLD_HEADER = struct.Struct("<6x2xH2x4xIIII")  # flags, bytes of wave header and trailer, frames, blocks in the last
_HAS_PEAK, _HAS_SEEK_ELEMENTS, _OMITS_WAVE_HEADER = 4, 16, 32
_HAS_BIT_TABLE = 3800


def spans(window: Window, start: int) -> Iterator[Span]:
    """The compressed frames, without seek table and the wave header and trailer that are kept beside them."""
    end = wrapping.trailing(window, start)
    header = window.read(start, _DESCRIPTOR.size)
    if len(header) < _DESCRIPTOR.size:
        raise errors.AudioTruncated
    version = int.from_bytes(header[4:6], "little")
    yield _frames(header, start, end) if version >= _HAS_DESCRIPTOR else _old_frames(window, version, start, end)


def _frames(header: bytes, start: int, end: int) -> Span:
    descriptor, info, seek_table, wave_header, low, high, _ = _DESCRIPTOR.unpack(header)
    first = start + descriptor + info + seek_table + wave_header
    if first > end:
        raise errors.AudioTruncated
    return Span(first, min(high << 32 | low, end - first))


def _old_frames(window: Window, version: int, start: int, end: int) -> Span:
    flags, wave_header, trailer, frames, _ = _OLD_HEADER.unpack(window.read(start, _OLD_HEADER.size))
    first = start + _OLD_HEADER.size
    if flags & _HAS_PEAK:
        first += 4
    seek_elements = frames
    if flags & _HAS_SEEK_ELEMENTS:
        seek_elements = int.from_bytes(window.read(first, 4), "little")
        first += 4
    if not flags & _OMITS_WAVE_HEADER:
        first += wave_header
    first += 4 * seek_elements
    if version <= _HAS_BIT_TABLE:
        first += seek_elements
    if first > end:
        raise errors.AudioTruncated
    return Span(first, max(0, end - first - trailer))
