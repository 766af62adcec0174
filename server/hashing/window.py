"""A file of any size, seen through one reused buffer."""

from __future__ import annotations

import os
from types import TracebackType
from typing import BinaryIO, Protocol, Self, cast

CAPACITY = 256 * 1024
"""Bytes in a buffer. Most tagged headers fit, and it stays in the processor's cache while it is hashed."""

_SEARCH_STEP = 64 * 1024
_NONE = memoryview(b"")
_spare: list[memoryview] = []  # fresh pages fault on every file; list.pop and append are atomic across threads


class _ReadableInto(Protocol):
    def readinto(self, buffer: memoryview, /) -> int | None: ...


class Window:
    """Random access to an open binary file in constant memory.

    Small structures are copied out with `read`; bulk is looked at in place with `view`. Both clip at the end of the
    file as it was when the window was made, so no size that a file claims about itself is ever allocated or trusted.
    The file must be seekable and offer `readinto`, as every file from `open(…, "rb")` and `io.BytesIO` does.
    """

    __slots__ = ("_buffer", "_file", "_filled", "_readinto", "_start", "size")

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._readinto = cast("_ReadableInto", file).readinto
        self._buffer = _NONE
        self._start = 0
        self._filled = 0
        self.size = file.seek(0, os.SEEK_END)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        buffer, self._buffer, self._filled = self._buffer, _NONE, 0
        if buffer is not _NONE:
            _spare.append(buffer)

    def read(self, offset: int, length: int) -> bytes:
        """A copy of up to `length` bytes at `offset`; fewer at the end of the file, none beyond it.

        Leaves the buffer where it is. `length` must be a constant of the caller's, never a number from the file.
        """
        within = offset - self._start
        if 0 <= within <= self._filled - length:
            return self._buffer[within : within + length].tobytes()
        length = min(length, self.size - offset)
        if length <= 0 or offset < 0:
            return b""
        if 0 <= within <= self._filled - length:
            return self._buffer[within : within + length].tobytes()
        self._file.seek(offset)
        return self._file.read(length)

    def view(self, offset: int, length: int) -> memoryview:
        """Up to `length` bytes at `offset` in place, at most `CAPACITY`; valid until the next call of `view`.

        Moves the buffer when it doesn't hold them. Empty at and beyond the end of the file.
        """
        within = offset - self._start
        if 0 <= within <= self._filled - length:
            return self._buffer[within : within + length]
        length = min(length, self.size - offset, CAPACITY)
        if self._buffer is _NONE:
            self._buffer = _spare.pop() if _spare else memoryview(bytearray(CAPACITY))
        if length <= 0 or offset < 0:
            return self._buffer[:0]
        if not 0 <= within <= self._filled - length:
            self._file.seek(offset)
            self._filled = self._readinto(self._buffer) or 0
            self._start, within = offset, 0
        return self._buffer[within : min(within + length, self._filled)]

    def piece(self, offset: int, length: int) -> memoryview:
        """Some of the `length` bytes at `offset`: those the buffer holds already, or else all that fit into it."""
        within = offset - self._start
        if 0 <= within < self._filled:
            return self._buffer[within : min(within + length, self._filled)]
        return self.view(offset, length)

    def find(self, wanted: bytes, offset: int) -> int:
        """Offset of the next `wanted` at or after `offset`; -1 when there is none. Leaves the buffer where it is."""
        while offset < self.size:
            block = self.read(offset, _SEARCH_STEP)
            at = block.find(wanted)
            if at >= 0:
                return offset + at
            if len(block) < _SEARCH_STEP:
                break
            offset += len(block) - len(wanted) + 1
        return -1
