"""WavPack. Format: David Bryant, WavPack 4 & 5 Binary File / Block Format."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from server.hashing import errors, wrapping
from server.hashing.span import Span
from server.hashing.window import Window

_HEADER = struct.Struct("<4sI12xI8x")  # magic, bytes behind the size field, samples in this block
_HEADER_SIZE = 32
_SAMPLES_FLAGS_CHECKSUM = (20, 12)  # offset and bytes: what the header says about this block alone
_MAX_BLOCKS = 1 << 20
_MAX_SUB_BLOCKS = 4096
_OPTIONAL, _LARGE = 0x20, 0x80


def spans(window: Window, start: int) -> Iterator[Span]:
    """What a decoder needs of every block that holds samples.

    That is the block's sample count, flags and checksum, and all of its sub-blocks but the optional ones: the original
    file's header and trailer, MD5, encoder settings and the like. Left out of the header are the block's size and
    place and the file's length, since they are rewritten when a file is copied.
    """
    offset, end = start, wrapping.trailing(window, start)
    if end - start < _HEADER_SIZE:
        raise errors.AudioTruncated
    for _ in range(_MAX_BLOCKS):
        header = window.read(offset, _HEADER_SIZE)
        if len(header) < _HEADER_SIZE or offset >= end:
            return
        magic, size, samples = _HEADER.unpack_from(header)
        if magic != b"wvpk":
            offset = window.find(b"wvpk", offset + 1)
            if offset < 0:
                return
            continue
        block_end = min(offset + 8 + size, end)
        if samples:
            at, length = _SAMPLES_FLAGS_CHECKSUM
            yield Span(offset + at, length)
            yield from _needed_sub_blocks(window, offset + _HEADER_SIZE, block_end)
        offset = max(offset + _HEADER_SIZE, block_end)
    raise errors.ContainerTooComplex("There are more blocks than any recording has.")


def _needed_sub_blocks(window: Window, offset: int, end: int) -> Iterator[Span]:
    first = offset
    for _ in range(_MAX_SUB_BLOCKS):
        header = window.read(offset, 4)
        if offset >= end or len(header) < 2:
            break
        kind = header[0]
        is_large = kind & _LARGE
        size = 2 * int.from_bytes(header[1:4] if is_large else header[1:2], "little") + (4 if is_large else 2)
        if kind & _OPTIONAL:
            if offset > first:
                yield Span(first, offset - first)
            first = offset + size
        offset += size
    if end > first:
        yield Span(first, end - first)
