"""Atoms, or boxes: what MP4 and QuickTime files are made of. Format: ISO/IEC 14496-12, 4.2."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from server.hashing import errors
from server.hashing.window import Window

_HEADER = struct.Struct(">I4s")

MAX_ATOMS = 1 << 20
"""Atoms looked at in one file: a day in fragments of a second has 700,000."""


class Atom(NamedTuple):
    """One atom, as it describes itself, cut to its parent."""

    kind: bytes
    start: int
    """Of its header, in bytes from the start of the file."""

    offset: int
    """Of its body."""

    end: int


class Walk:
    """The atoms of one file. Counts them, so that a file made of nothing else comes to an end."""

    __slots__ = ("_left", "_window")

    def __init__(self, window: Window) -> None:
        self._window = window
        self._left = MAX_ATOMS

    def siblings(self, offset: int, end: int) -> Iterator[Atom]:
        """The atoms between two offsets, up to the first that can't be one. Raises ContainerTooComplex."""
        read = self._window.read
        while offset + 8 <= end:
            self._left -= 1
            if self._left < 0:
                raise errors.ContainerTooComplex("There are more atoms than any recording has.")
            header = read(offset, 16)
            size, kind = _HEADER.unpack_from(header)
            body = offset + 8
            if size < 8:
                if size == 1:
                    size, body = int.from_bytes(header[8:], "big"), offset + 16
                elif size == 0:
                    size = end - offset
                if offset + size < body:
                    return
            yield Atom(kind, offset, body, min(offset + size, end))
            offset += size

    def children(self, parent: Atom) -> Iterator[Atom]:
        """The atoms inside an atom that holds nothing else."""
        return self.siblings(parent.offset, parent.end)

    def children_by_kind(self, parent: Atom | None) -> dict[bytes, Atom]:
        """The first child of each kind; none of no parent."""
        found: dict[bytes, Atom] = {}
        for atom in self.children(parent) if parent else ():
            found.setdefault(atom.kind, atom)
        return found
