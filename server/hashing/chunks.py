"""Files made of chunks: an id, a size, a body, and the next chunk behind it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

from server.hashing import errors, wrapping
from server.hashing.span import Span
from server.hashing.window import Window

MAX_CHUNKS = 65_536


class Chunk(NamedTuple):
    """One chunk, as it describes itself."""

    kind: bytes
    offset: int
    """Of the body, in bytes from the start of the file."""

    size: int
    """Bytes of the body; not yet compared with the file. Negative when the field can't be right."""


@dataclass(frozen=True)
class Layout:
    """How one family of chunk files writes its chunks."""

    byte_order: Literal["little", "big"]
    id_size: int = 4
    size_size: int = 4
    counts_header: bool = False
    """Whether the size field includes the chunk's own header."""

    alignment: int = 1
    """Chunks begin at a multiple of this many bytes, counted from the first chunk."""


def walk(window: Window, start: int, layout: Layout) -> Iterator[Chunk]:
    """The chunks from `start` to the end of the file.

    Chunks that are missing their padding, or have too much, are found where the next id is. Raises
    ContainerTooComplex after `MAX_CHUNKS`.
    """
    offset = start
    header_size = layout.id_size + layout.size_size
    for _ in range(MAX_CHUNKS):
        header = window.read(offset, header_size)
        if len(header) < header_size:
            return
        kind = header[: layout.id_size]
        size = int.from_bytes(header[layout.id_size :], layout.byte_order)
        if layout.counts_header:
            size -= header_size
        yield Chunk(kind, offset + header_size, size)
        offset += header_size + max(0, size)
        if layout.alignment > 1:
            offset = _aligned(window, offset, start, layout.alignment)
    raise errors.ContainerTooComplex("There are more chunks than any recording has.")


def find(window: Window, start: int, layout: Layout, *kinds: bytes) -> Chunk:
    """The first chunk of one of these kinds. Raises AudioTruncated when the file ends before it."""
    for chunk in walk(window, start, layout):
        if chunk.kind in kinds:
            return chunk
    raise errors.AudioTruncated


def body(window: Window, chunk: Chunk, skip: int = 0) -> Span:
    """A chunk's body without its first `skip` bytes.

    A body that would reach beyond the end of the file reaches to the trailing tags.
    """
    if chunk.size > window.size - chunk.offset:
        return rest(window, chunk, skip)
    return Span(chunk.offset + skip, max(0, chunk.size - skip))


def rest(window: Window, chunk: Chunk, skip: int = 0) -> Span:
    """All that follows a chunk's header, up to the trailing tags: the body when its size was never filled in."""
    start = chunk.offset + skip
    return Span(start, max(0, wrapping.trailing(window, start) - start))


def is_chunk(window: Window, offset: int, layout: Layout) -> bool:
    """Whether a chunk with a readable id and a size that fits into the file begins at `offset`."""
    header = window.read(offset, layout.id_size + layout.size_size)
    size = int.from_bytes(header[layout.id_size :], layout.byte_order)
    return _is_id(header[:4]) and offset + len(header) + size <= window.size


def _aligned(window: Window, offset: int, start: int, alignment: int) -> int:
    padded = offset + (start - offset) % alignment
    if padded != offset and _is_id(window.read(offset, 4)) and not _is_id(window.read(padded, 4)):
        return offset
    return padded


def _is_id(text: bytes) -> bool:
    return len(text) == 4 and text.isascii() and text.decode("ascii").isprintable()
