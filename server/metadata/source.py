"""An open file, seen by offset."""

from __future__ import annotations

from typing import BinaryIO

from server.hashing.window import Window

_BLOCK = 8192


class Source:
    """Random access to an open binary file; no size that the file claims about itself is ever allocated.

    Metadata is many small things next to each other, so the block around the last small read is kept.
    """

    __slots__ = ("_block", "_start", "file", "name", "size", "window")

    def __init__(self, file: BinaryIO, name: str, window: Window | None = None) -> None:
        self.file = file
        """For parsers that read a whole file by themselves; its position is anywhere."""
        self.name = name
        """The file's name without folders, as the OS gives it."""
        self.window = window or Window(file)
        self.size = self.window.size
        self._start = 0
        self._block = b""

    def at(self, offset: int, length: int) -> bytes:
        """Up to `length` bytes; fewer at the end of the file, none beyond it."""
        if length <= 0:
            return b""
        within = offset - self._start
        block = self._block
        if 0 <= within <= len(block) - length:
            return block[within : within + length]
        if length > _BLOCK:
            return self.window.read(offset, length)
        self._start = offset
        self._block = block = self.window.read(offset, _BLOCK)
        return block[:length]

    def tail(self, length: int) -> bytes:
        """The last `length` bytes, or all of a shorter file."""
        return self.window.read(max(0, self.size - length), length)

    def rewound(self) -> BinaryIO:
        """The file at its start."""
        self.file.seek(0)
        return self.file
