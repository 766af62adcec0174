"""FLAC: the frames behind the metadata blocks. Format: RFC 9639, sections 8 and 9."""

from __future__ import annotations

import re
from collections.abc import Iterator

from server.hashing import errors, wrapping
from server.hashing.span import Span
from server.hashing.window import Window

_MAX_BLOCKS = 4096
_LAST_KNOWN_BLOCK = 6
_SEARCH_LIMIT = 32 << 20  # a picture larger than its 24-bit size field is the usual cause of a search
_MAX_CANDIDATES = 100_000  # random data of the same length has 1,024
_SEARCH_STEP = 64 * 1024
_LONGEST_HEADER = 16
_FRAME_SYNC = re.compile(rb"\xff[\xf8\xf9]")


def spans(window: Window, start: int) -> Iterator[Span]:
    """The frames, up to the trailing tags.

    Where the chain of metadata blocks is broken, the frames begin with the first one whose number is 0 and whose
    header's checksum is right.
    """
    first = _first_frame(window, start)
    yield Span(first, max(0, wrapping.trailing(window, first) - first))


def _first_frame(window: Window, start: int) -> int:
    offset = start + 4
    is_sound = False
    block = offset
    for _ in range(_MAX_BLOCKS):
        header = window.read(offset, 4)
        if len(header) < 4:
            offset = window.size
            break
        if _FRAME_SYNC.match(header):
            break
        block = offset
        kind = header[0] & 0x7F
        if kind > _LAST_KNOWN_BLOCK:
            break
        offset += 4 + int.from_bytes(header[1:], "big")
        if header[0] & 0x80:
            is_sound = True
            break
    if (is_sound and offset == window.size) or _FRAME_SYNC.match(window.read(offset, 2)):
        return offset
    found = _find_frame(window, block)
    if found is not None:
        return found
    if offset >= window.size:
        raise errors.AudioTruncated
    if not is_sound:
        raise errors.ContainerDamaged("The metadata blocks lead to no frame.")
    return offset  # the first frame is damaged, but its place is certain


def _find_frame(window: Window, start: int) -> int | None:
    candidates = 0
    for at in range(start, min(start + _SEARCH_LIMIT, window.size), _SEARCH_STEP):
        block = window.read(at, _SEARCH_STEP + _LONGEST_HEADER)
        for match in _FRAME_SYNC.finditer(block):
            candidates += 1
            if candidates > _MAX_CANDIDATES:
                return None
            if _is_frame_zero(block[match.start() : match.start() + _LONGEST_HEADER]):
                return at + match.start()
    return None


def _is_frame_zero(header: bytes) -> bool:
    """Whether these bytes are a whole frame header with the number 0 and the right checksum."""
    if len(header) < 6 or header[3] & 1 or header[4]:
        return False
    block_size, sample_rate = header[2] >> 4, header[2] & 15
    if block_size == 0 or sample_rate == 15:
        return False
    length = 5 + {6: 1, 7: 2}.get(block_size, 0) + {12: 1, 13: 2, 14: 2}.get(sample_rate, 0)
    return _crc8(header[: length + 1]) == 0


def _crc8(data: bytes) -> int:
    """CRC with the polynomial x⁸ + x² + x + 1; 0 over data that ends in its own checksum."""
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1 ^ 7) & 0xFF if crc & 0x80 else crc << 1
    return crc
