"""Boxes of the ISO base media file format (ISO/IEC 14496-12, 4.2)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

MAX_BOXES = 65_536

_HEADER = struct.Struct(">I4s")
_LARGE_HEADER = struct.Struct(">8xQ")


class Box(NamedTuple):
    """One box; `start` and `end` are those of its body in the bytes it was found in."""

    kind: bytes
    start: int
    end: int


def walk(data: bytes, start: int, end: int) -> Iterator[Box]:
    """The boxes between two offsets; the last may be cut off. Stops where a size can't be right."""
    end = min(end, len(data))
    for _ in range(MAX_BOXES):
        if start + 8 > end:
            return
        size, kind = _HEADER.unpack_from(data, start)
        body = start + 8
        if size == 1:
            if start + 16 > end:
                return
            (size,) = _LARGE_HEADER.unpack_from(data, start)
            body = start + 16
        elif size == 0:
            size = end - start
        if start + size < body:
            return
        yield Box(kind, body, min(start + size, end))
        start += size


def find(data: bytes, parent: Box, *path: bytes) -> Box | None:
    """The first box at a path below a parent."""
    found: Box | None = parent
    for kind in path:
        if found is None:
            return None
        _, start, end = found
        found = None
        while start + 8 <= end:
            size, here = _HEADER.unpack_from(data, start)
            if here == kind or size < 8:  # the one that is wanted, or one of an unusual size: look closely
                found = next((box for box in walk(data, start, end) if box.kind == kind), None)
                break
            start += size
    return found
