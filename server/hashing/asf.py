"""Advanced Systems Format: Windows Media Audio.

Format: Microsoft, Advanced Systems Format (ASF) Specification, revision 01.20.06; packets in section 5.2.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from server.hashing import errors
from server.hashing.span import Span
from server.hashing.window import CAPACITY, Window

_DATA = bytes.fromhex("3626b2758e66cf11a6d900aa0062ce6c")
_FILE_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_STREAM_PROPERTIES = bytes.fromhex("9107dcb7b7a9cf118ee600c00c205365")
_AUDIO = bytes.fromhex("409e69f84d5bcf11a8fd00805f5c442b")

_OBJECT = struct.Struct("<16sQ")
_HEADER_OBJECT_SIZE = 30
_DATA_OBJECT_SIZE = 50
_MAX_OBJECTS = 4096
_MAX_PACKETS = 1 << 22
_FIELD_SIZES = (0, 1, 2, 4)  # by the two bits that give the size of a length field


@dataclass(frozen=True)
class _Header:
    packet_size: int
    """Bytes of every data packet, its padding included."""

    stream: int
    """Number of the first audio stream."""


def spans(window: Window, start: int) -> Iterator[Span]:
    """The payloads of the first audio stream, packet by packet, without packet headers and padding.

    A media object may be cut into payloads differently by each writer; joined, the pieces are the same.
    """
    header = _read_header(window, start)
    first, end = _find_packets(window, start)
    if first > window.size:
        raise errors.AudioTruncated
    for number, offset in enumerate(range(first, end, header.packet_size)):
        if number == _MAX_PACKETS:
            raise errors.ContainerTooComplex("There are more packets than any recording has.")
        packet = window.view(offset, header.packet_size)
        for at, length in _payloads(packet, header):
            yield Span(offset + at, length)


def _objects(window: Window, offset: int) -> Iterator[tuple[bytes, int, int]]:
    """Kind, offset and size of the objects from `offset` on, as the file states them."""
    for _ in range(_MAX_OBJECTS):
        header = window.read(offset, _OBJECT.size)
        if len(header) < _OBJECT.size:
            return
        kind, size = _OBJECT.unpack(header)
        yield kind, offset, size
        if size < _OBJECT.size:
            return
        offset += size
    raise errors.ContainerTooComplex("There are more objects than any recording has.")


def _read_header(window: Window, start: int) -> _Header:
    packet_size, stream = 0, None
    for kind, offset, _ in _objects(window, start + _HEADER_OBJECT_SIZE):
        if kind == _FILE_PROPERTIES:
            packet_size = int.from_bytes(window.read(offset + 92, 4), "little")
        elif kind == _STREAM_PROPERTIES and stream is None and window.read(offset + 24, 16) == _AUDIO:
            stream = int.from_bytes(window.read(offset + 72, 2), "little") & 0x7F
        elif kind == _DATA:
            break
    if stream is None:
        raise errors.AudioMissing
    if not 0 < packet_size <= CAPACITY:
        raise errors.ContainerDamaged(f"Data packets of {packet_size} bytes can't be.")
    return _Header(packet_size, stream)


def _find_packets(window: Window, start: int) -> tuple[int, int]:
    """Offsets of the first data packet and of the end of the last."""
    found = next(((offset, size) for kind, offset, size in _objects(window, start) if kind == _DATA), None)
    if found is None:  # the header's size is wrong
        offset = window.find(_DATA, start + _HEADER_OBJECT_SIZE)
        if offset < 0:
            raise errors.AudioTruncated
        found = offset, int.from_bytes(window.read(offset + 16, 8), "little")
    offset, size = found
    # A broadcast doesn't know its size; its packets reach to the end.
    end = offset + size if size > _DATA_OBJECT_SIZE else window.size
    return offset + _DATA_OBJECT_SIZE, min(end, window.size)


def _payloads(packet: memoryview, header: _Header) -> Iterator[tuple[int, int]]:
    """Offset and bytes of each payload of the stream in one packet."""
    at = 0
    if packet[0] & 0x80:
        at = 1 + (packet[0] & 0x0F)
    if at + 2 > len(packet):
        return
    length_flags, property_flags = packet[at], packet[at + 1]
    at += 2
    sizes = [_FIELD_SIZES[length_flags >> shift & 3] for shift in (5, 1, 3)]
    fields = []
    for size in sizes:
        fields.append(int.from_bytes(packet[at : at + size], "little"))
        at += size
    packet_length, _, padding = fields
    at += 6  # send time and duration
    end = min(len(packet), packet_length or header.packet_size) - padding
    is_multiple = length_flags & 1
    count, length_size = 1, 0
    if is_multiple:
        if at >= end:
            return
        count, length_size = packet[at] & 0x3F, _FIELD_SIZES[packet[at] >> 6]
        at += 1
    number_size, place_size, replicated_size = (_FIELD_SIZES[property_flags >> shift & 3] for shift in (4, 2, 0))
    for _ in range(count):
        if at >= end:
            return
        stream = packet[at] & 0x7F
        at += 1 + number_size + place_size
        replicated = int.from_bytes(packet[at : at + replicated_size], "little")
        at += replicated_size + replicated
        length = end - at
        if is_multiple:
            length = min(int.from_bytes(packet[at : at + length_size], "little"), end - at - length_size)
            at += length_size
        if length < 0:
            return
        if stream == header.stream:
            if replicated == 1:
                yield from _sub_payloads(packet, at, at + length)
            else:
                yield at, length
        at += length


def _sub_payloads(packet: memoryview, at: int, end: int) -> Iterator[tuple[int, int]]:
    """The parts of a compressed payload, each behind a byte with its length."""
    while at < end:
        length = min(packet[at], end - at - 1)
        yield at + 1, length
        at += 1 + length
