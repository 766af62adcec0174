"""Elements of an EBML document. Format: RFC 8794."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from server.hashing import errors
from server.hashing.window import Window

MAX_ELEMENTS = 1 << 22
"""Elements looked at in one file: a day of blocks of 20 ms."""

BYTES_PER_ELEMENT = 8
SPARE_ELEMENTS = 100_000
"""A file that has more elements than this has few that are smaller than `BYTES_PER_ELEMENT` on average."""

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


class Walk:
    """The elements of one document. Counts them, so that a file made of nothing else comes to an end."""

    __slots__ = ("_left", "_window")

    def __init__(self, window: Window) -> None:
        self._window = window
        self._left = min(MAX_ELEMENTS, SPARE_ELEMENTS + window.size // BYTES_PER_ELEMENT)

    def element(self, offset: int) -> Element | None:
        """The element at `offset`; None at the end of the file, and where no element can be.

        Raises ContainerTooComplex.
        """
        self._left -= 1
        if self._left < 0:
            raise errors.ContainerTooComplex("There are more elements than any recording has.")
        header = self._window.view(offset, _LONGEST_HEADER)
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

    def children(self, parent: Element) -> Iterator[Element]:
        """The children of a parent of known size, up to the first that doesn't know its own."""
        offset, end = parent.offset, min(parent.end, self._window.size)
        while offset < end:
            child = self.element(offset)
            if child is None or child.end < 0:
                return
            yield child
            offset = child.end

    def number(self, element: Element) -> int:
        """The value of an unsigned integer element."""
        length = max(0, min(_LONGEST_NUMBER, element.end - element.offset))
        return int.from_bytes(self._window.read(element.offset, length), "big")
