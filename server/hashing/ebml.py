"""Elements of an EBML document. Format: RFC 8794."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from server.hashing.window import Window

_LONGEST_HEADER = 12
_LONGEST_ID = 4
_LONGEST_NUMBER = 8


class Element(NamedTuple):
    """One element, as it describes itself."""

    kind: int
    """Its id, with the bits that give the id's length, as the specifications print it."""

    offset: int
    """Of the body, in bytes from the start of the file."""

    end: int
    """Of the body, not yet compared with the file; -1 when the element doesn't know its size."""


def variable_size(first: int) -> int:
    """Bytes of the variable-size integer that begins with this byte: 1 to 8, or 9 for a byte of 0."""
    return 9 - first.bit_length()


def element_at(window: Window, offset: int) -> Element | None:
    """The element at `offset`; None at the end of the file, and where no element can be."""
    header = window.view(offset, _LONGEST_HEADER)
    if len(header) < 2:
        return None
    id_size = variable_size(header[0])
    if id_size > _LONGEST_ID or id_size >= len(header):
        return None
    size_size = variable_size(header[id_size])
    body = id_size + size_size
    if size_size > _LONGEST_NUMBER or body > len(header):
        return None
    unknown = (1 << 7 * size_size) - 1
    size = int.from_bytes(header[id_size:body], "big") & unknown
    kind = int.from_bytes(header[:id_size], "big")
    return Element(kind, offset + body, -1 if size == unknown else offset + body + size)


def children(window: Window, parent: Element) -> Iterator[Element]:
    """The children of a parent of known size, up to the first that doesn't know its own."""
    offset, end = parent.offset, min(parent.end, window.size)
    while offset < end:
        child = element_at(window, offset)
        if child is None or child.end < 0:
            return
        yield child
        offset = child.end


def number(window: Window, element: Element) -> int:
    """The value of an unsigned integer element."""
    return int.from_bytes(
        window.read(element.offset, max(0, min(_LONGEST_NUMBER, element.end - element.offset))), "big"
    )
