"""Elements of EBML (RFC 8794): an id, a size, a body."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from server.metadata.source import Source

MAX_ELEMENTS = 100_000


class Element(NamedTuple):
    """One element; `start` and `end` are the offsets of its body."""

    id: int
    start: int
    end: int


def walk(source: Source, start: int, end: int) -> Iterator[Element]:
    """The elements between two offsets. One of unknown size reaches to the end."""
    end = min(end, source.size)
    for _ in range(MAX_ELEMENTS):
        header = source.at(start, 12)
        if start >= end or len(header) < 2:
            return
        id_length = _length(header[0], 4)
        if not id_length or len(header) <= id_length:
            return
        size_length = _length(header[id_length], 8)
        if not size_length:
            return
        body = start + id_length + size_length
        field = int.from_bytes(header[id_length : id_length + size_length], "big")
        unknown = (1 << 7 * size_length) - 1
        size = field & unknown
        stop = end if size == unknown else body + size
        yield Element(int.from_bytes(header[:id_length], "big"), body, min(stop, end))
        start = stop


def unsigned(source: Source, element: Element) -> int:
    """The element's value as an unsigned integer."""
    return int.from_bytes(source.at(element.start, min(8, element.end - element.start)), "big")


def floating(source: Source, element: Element) -> float:
    """The element's value as a float of four or eight bytes; 0.0 for any other size."""
    body = source.at(element.start, min(8, element.end - element.start))
    if len(body) == 4:
        return float(struct.unpack(">f", body)[0])
    return float(struct.unpack(">d", body)[0]) if len(body) == 8 else 0.0


def text(source: Source, element: Element, limit: int = 256 << 10) -> str:
    """The element's value as text."""
    return source.at(element.start, min(limit, element.end - element.start)).rstrip(b"\0").decode(errors="replace")


def _length(first: int, most: int) -> int:
    """Bytes of a number whose length the leading zeros of its first byte tell; 0 when that is more than `most`."""
    length = 9 - first.bit_length()
    return length if length <= most else 0
