"""ASF files with a video stream, number 1, and an audio stream, number 2."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from server.hashing.container import Container

from .sample import Sample, noise

_HEADER = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_DATA = bytes.fromhex("3626b2758e66cf11a6d900aa0062ce6c")
_FILE_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_STREAM_PROPERTIES = bytes.fromhex("9107dcb7b7a9cf118ee600c00c205365")
_AUDIO = bytes.fromhex("409e69f84d5bcf11a8fd00805f5c442b")
_VIDEO = bytes.fromhex("c0ef19bc4d5bcf11a8fd00805f5c442b")

PACKET = 700
SIZES = (400, 900, 350, 120, 600)


def asf_object(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("<Q", 24 + len(body)) + body


def stream_properties(kind: bytes, number: int) -> bytes:
    wave_format = struct.pack("<HHIIHHH", 0x161, 2, 44100, 16000, 743, 16, 0)
    sizes = struct.pack("<QIIHI", 0, len(wave_format), 0, number, 0)
    return asf_object(_STREAM_PROPERTIES, kind + bytes(16) + sizes + wave_format)


def data_packet(payloads: Sequence[bytes], correction: bool = True) -> bytes:
    """A packet of several payloads, each with its header, filled up with padding."""
    start = b"\x82\0\0" if correction else b""
    room = PACKET - len(start) - 2 - 2 - 6 - 1 - sum(map(len, payloads))
    assert room >= 0
    flags = bytes([0x01 | 0x10, 0x5D])  # several payloads, padding in two bytes; lengths as everyone has them
    return (
        start
        + flags
        + struct.pack("<HIH", room, 0, 0)
        + bytes([0x80 | len(payloads)])
        + b"".join(payloads)
        + bytes(room)
    )


def payload(stream: int, number: int, place: int, whole: int, piece: bytes) -> bytes:
    """A piece of a media object of `whole` bytes, which begins at `place` in it."""
    head = bytes([stream | 0x80, number]) + struct.pack("<IB", place, 8) + struct.pack("<II", whole, 0)
    return head + struct.pack("<H", len(piece)) + piece


def compressed_payload(stream: int, pieces: Sequence[bytes]) -> bytes:
    """Small media objects that share one payload header."""
    body = b"".join(bytes([len(piece)]) + piece for piece in pieces)
    return bytes([stream | 0x80, 0]) + struct.pack("<IBB", 0, 1, 20) + struct.pack("<H", len(body)) + body


def document(
    packets: Sequence[bytes], extra: bytes = b"", data_size: int | None = None, packet_size: int = PACKET
) -> bytes:
    """`extra`: further header objects; `data_size`: what the data object claims instead of the truth."""
    times = struct.pack("<QQQQQQI", 0, 0, len(packets), 10**7, 10**7, 0, 2)
    properties = asf_object(_FILE_PROPERTIES, bytes(16) + times + struct.pack("<III", packet_size, packet_size, 128000))
    objects = [properties, stream_properties(_VIDEO, 1), stream_properties(_AUDIO, 2), extra]
    body = struct.pack("<IBB", 3 + bool(extra), 1, 2) + b"".join(objects)
    joined = b"".join(packets)
    size = 50 + len(joined) if data_size is None else data_size
    data = _DATA + struct.pack("<Q", size) + bytes(16) + struct.pack("<QH", len(packets), 0x101) + joined
    return asf_object(_HEADER, body) + data


def wma(seed: int = 1, piece: int = 250, correction: bool = True) -> Sample:
    """Media objects cut into payloads of at most `piece` bytes, one per packet, next to a payload of video."""
    packets = noise(seed, *SIZES)
    (picture,) = noise(1000, 60)
    made = []
    for number, packet in enumerate(packets):
        for place in range(0, len(packet), piece):
            part = payload(2, number, place, len(packet), packet[place : place + piece])
            made.append(data_packet([payload(1, number, 0, len(picture), picture), part], correction))
    return Sample(Container.ASF, "wma", document(made), packets)
