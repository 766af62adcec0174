"""Where the samples of one MP4 track lie, by its sample table.

Formats: ISO/IEC 14496-12, 8.6 and 8.7; QuickTime File Format, "Sound Sample Descriptions" for uncompressed audio.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterator
from itertools import repeat

from server.hashing import errors
from server.hashing.atom import Atom, Walk
from server.hashing.span import Span
from server.hashing.window import Window

_BLOCK = 3 << 12  # entries of a table held at a time; some tables have three to a row
_MAX_CHUNKS = 1 << 22
_TYPE_CODES = {1: "B", 2: "H", 4: "I", 8: "Q"}


def spans(window: Window, walk: Walk, table: Atom) -> Iterator[Span]:
    """The chunks of the track whose `stbl` atom is given, in playing order; neighbours are joined.

    Raises ContainerDamaged when one of the tables is missing.
    """
    atoms = walk.children_by_kind(table)
    offsets, runs = atoms.get(b"stco") or atoms.get(b"co64"), atoms.get(b"stsc")
    sizes = _sizes(window, atoms)
    if offsets is None or runs is None or sizes is None:
        raise errors.ContainerDamaged("The audio track's sample table is incomplete.")
    start = length = 0
    chunk_offsets = _entries(window, offsets, 8, 4 if offsets.kind == b"stco" else 8)
    for chunk, (offset, samples) in enumerate(zip(chunk_offsets, _samples_per_chunk(window, runs), strict=False)):
        if chunk == _MAX_CHUNKS:
            raise errors.ContainerTooComplex("There are more chunks than any recording has.")
        size = sizes.take(samples)
        if offset == start + length:
            length += size
            continue
        if length:
            yield Span(start, length)
        start, length = offset, size
    if length:
        yield Span(start, length)


class VariableSizes:
    """Sample sizes in bytes, one after the other from the blocks of a table."""

    __slots__ = ("_at", "_block", "_blocks")

    def __init__(self, blocks: Iterator[array[int]]) -> None:
        self._blocks = blocks
        self._block: array[int] = array("I")
        self._at = 0

    def take(self, samples: int) -> int:
        """Bytes of the next `samples` samples, or of all that are left."""
        total = 0
        while samples > 0:
            if self._at >= len(self._block):
                self._block, self._at = next(self._blocks, array("I")), 0
                if not self._block:
                    break
            part = self._block[self._at : self._at + samples]
            total += sum(part)
            self._at += len(part)
            samples -= len(part)
        return total


class ConstantSize:
    """All samples have the same size."""

    __slots__ = ("_denominator", "_left", "_numerator")

    def __init__(self, samples: int, numerator: int, denominator: int = 1) -> None:
        self._left = samples
        self._numerator = numerator
        self._denominator = denominator

    def take(self, samples: int) -> int:
        """Bytes of the next `samples` samples, or of all that are left."""
        samples = min(samples, self._left)
        self._left -= samples
        return samples * self._numerator // self._denominator


def blocks(window: Window, offset: int, end: int, count: int, width: int) -> Iterator[array[int]]:
    """`count` big-endian integers of `width` bytes from `offset` on, in arrays of bounded length, cut at `end`."""
    count = min(count, (end - offset) // width)
    while count > 0:
        data = window.read(offset, min(count, _BLOCK) * width)
        block = array(_TYPE_CODES[width], data[: len(data) // width * width])
        if not block:
            return
        if sys.byteorder == "little":
            block.byteswap()
        yield block
        offset += len(data)
        count -= len(block)


def _entries(window: Window, atom: Atom, skip: int, width: int) -> Iterator[int]:
    count = int.from_bytes(window.read(atom.offset + skip - 4, 4), "big")
    for block in blocks(window, atom.offset + skip, atom.end, count, width):
        yield from block


def _samples_per_chunk(window: Window, atom: Atom) -> Iterator[int]:
    """Samples in each chunk, without end: a run lasts until the first chunk of the next."""
    count = int.from_bytes(window.read(atom.offset + 4, 4), "big")
    rows = blocks(window, atom.offset + 8, atom.end, 3 * count, 4)
    first, samples = 1, 0
    for block in rows:
        for next_first, next_samples in zip(block[::3], block[1::3], strict=False):
            yield from repeat(samples, max(0, next_first - first))
            first, samples = next_first, next_samples
    yield from repeat(samples)


def _sizes(window: Window, atoms: dict[bytes, Atom]) -> VariableSizes | ConstantSize | None:
    if atom := atoms.get(b"stsz"):
        header = window.read(atom.offset + 4, 8)
        size, count = int.from_bytes(header[:4], "big"), int.from_bytes(header[4:], "big")
        if not size:
            return VariableSizes(blocks(window, atom.offset + 12, atom.end, count, 4))
        return ConstantSize(count, *_bytes_per_sample(window, atoms.get(b"stsd"), size))
    if atom := atoms.get(b"stz2"):
        header = window.read(atom.offset + 4, 8)
        bits, count = header[3] if len(header) == 8 else 0, int.from_bytes(header[4:], "big")
        if bits in (8, 16):
            return VariableSizes(blocks(window, atom.offset + 12, atom.end, count, bits // 8))
        if bits == 4:
            return VariableSizes(_nibbles(window, atom, count))
    return None


def _nibbles(window: Window, atom: Atom, count: int) -> Iterator[array[int]]:
    for block in blocks(window, atom.offset + 12, atom.end, (count + 1) // 2, 1):
        yield array("I", [size for byte in block for size in (byte >> 4, byte & 15)])


def _bytes_per_sample(window: Window, descriptions: Atom | None, size: int) -> tuple[int, int]:
    """What one sample of a table with a constant size takes, as a fraction.

    QuickTime writes a size of 1 for uncompressed audio, and for packets of a fixed size; the truth is then in the
    sound description.
    """
    entry = window.read(descriptions.offset + 8, 52) if descriptions and size == 1 else b""
    if len(entry) < 52:
        return size, 1
    version, channels, bits = (int.from_bytes(entry[at : at + 2], "big") for at in (16, 24, 26))
    samples_per_packet, bytes_per_frame = int.from_bytes(entry[36:40], "big"), int.from_bytes(entry[44:48], "big")
    if version == 1 and samples_per_packet and bytes_per_frame:
        return bytes_per_frame, samples_per_packet
    if version == 0 and channels and bits % 8 == 0:
        return channels * bits // 8, 1
    return size, 1
