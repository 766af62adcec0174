"""An open file, seen by offset."""

from __future__ import annotations

from typing import BinaryIO

from server.hashing.window import Window


class Source:
    """Random access to an open binary file; no size that the file claims about itself is ever allocated."""

    __slots__ = ("at", "file", "name", "size", "window")

    def __init__(self, file: BinaryIO, name: str, window: Window | None = None) -> None:
        self.file = file
        """For parsers that read a whole file by themselves; its position is anywhere."""
        self.name = name
        """The file's name without folders, as the OS gives it."""
        self.window = window or Window(file)
        self.size = self.window.size
        self.at = self.window.read
        """`at(offset, length)`: up to `length` bytes; fewer at the end of the file, none beyond it."""

    def rewound(self) -> BinaryIO:
        """The file at its start."""
        self.file.seek(0)
        return self.file
