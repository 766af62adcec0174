"""Boxes of the ISO base media file format (ISO/IEC 14496-12, 4.2)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

MAX_BOXES = 65_536


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
        size = int.from_bytes(data[start : start + 4], "big")
        header = 8
        if size == 1:
            size, header = int.from_bytes(data[start + 8 : start + 16], "big"), 16
        elif size == 0:
            size = end - start
        if size < header:
            return
        yield Box(data[start + 4 : start + 8], start + header, min(start + size, end))
        start += size


def find(data: bytes, parent: Box, *path: bytes) -> Box | None:
    """The first box at a path below a parent."""
    for kind in path:
        for box in walk(data, parent.start, parent.end):
            if box.kind == kind:
                parent = box
                break
        else:
            return None
    return parent
