"""Ogg files. Page checksums are left at 0: they change with every tagger, and nobody here looks at them."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

from server.hashing.container import Container

from .sample import Sample, noise

SIZES = (200, 255, 510, 1, 300, 70_000, 90, 254, 256)
"""Lengths around the borders of lacing, and one packet that needs two pages."""


def lacing(packet: bytes) -> list[int]:
    return [255] * (len(packet) // 255) + [len(packet) % 255]


def pages(
    packets: Iterable[bytes], serial: int = 1, segments: int = 255, first: int = 0, last: bool = False
) -> list[bytes]:
    """Packets on as many pages as it takes with up to `segments` lacing values each; `first`: the first's number."""
    body = b"".join(packets_list := list(packets))
    table = [value for packet in packets_list for value in lacing(packet)]
    made: list[bytes] = []
    at = 0
    for number, start in enumerate(range(0, len(table), segments)):
        part = table[start : start + segments]
        flags = (1 if start and table[start - 1] == 255 else 0) | (2 if first + number == 0 else 0)
        flags |= 4 if last and start + segments >= len(table) else 0
        header = struct.pack("<4sBBqIIIB", b"OggS", 0, flags, 0, serial, first + number, 0, len(part))
        made.append(header + bytes(part) + body[at : at + sum(part)])
        at += sum(part)
    return made


def stream(
    headers: tuple[bytes, ...], packets: tuple[bytes, ...], serial: int = 1, segments: int = 255
) -> tuple[list[bytes], list[bytes]]:
    """The pages of a logical stream: the one that announces it, and the others."""
    announcing = pages(headers[:1], serial)
    rest = pages(headers[1:], serial, segments, first=1)
    rest += pages(packets, serial, segments, first=1 + len(rest), last=True)
    return announcing, rest


def vorbis_headers(comment: bytes = b"") -> tuple[bytes, ...]:
    identification = b"\x01vorbis" + struct.pack("<IBIiiiBB", 0, 2, 44100, 0, 128000, 0, 0xB8, 1)
    comments = b"\x03vorbis" + struct.pack("<I", 4) + b"test" + struct.pack("<I", 1)
    comments += struct.pack("<I", len(comment)) + comment + b"\1"
    return identification, comments, b"\x05vorbis" + noise(99, 400)[0]


def opus_headers() -> tuple[bytes, ...]:
    head = b"OpusHead" + struct.pack("<BBHIhB", 1, 2, 312, 48000, 0, 0)
    return head, b"OpusTags" + struct.pack("<I", 4) + b"test" + struct.pack("<I", 0)


def speex_headers(extra: int = 0) -> tuple[bytes, ...]:
    numbers = struct.pack("<13i", 1, 80, 16000, 1, 4, 1, -1, 320, 0, 1, extra, 0, 0)
    head = b"Speex   " + b"1.2".ljust(20, b"\0") + numbers
    return (head, struct.pack("<I", 4) + b"test" + struct.pack("<I", 0), *noise(98, *[33] * extra))


def flac_headers() -> tuple[bytes, ...]:
    from .lossless import STREAM_INFO

    head = b"\x7fFLAC\1\0\0\2fLaC" + b"\0\0\0\x22" + STREAM_INFO
    comments = struct.pack("<I", 4) + b"test" + struct.pack("<I", 0)
    return head, b"\x04" + struct.pack(">I", len(comments))[1:] + comments, b"\x81\0\0\x10" + bytes(16)


def theora_header() -> bytes:
    return b"\x80theora" + bytes(35)


def interleaved(*streams: Iterable[bytes]) -> Iterator[bytes]:
    """One page of each stream in turn."""
    iterators = [iter(one) for one in streams]
    while iterators:
        for iterator in list(iterators):
            page = next(iterator, None)
            if page is None:
                iterators.remove(iterator)
            else:
                yield page


def vorbis(seed: int = 1, segments: int = 255, comment: bytes = b"", serial: int = 1) -> Sample:
    packets = noise(seed, *SIZES)
    announcing, rest = stream(vorbis_headers(comment), packets, serial, segments)
    return Sample(Container.OGG, "ogg", b"".join(announcing + rest), packets)


def opus(seed: int = 1) -> Sample:
    packets = noise(seed, 120, 130, 140)
    announcing, rest = stream(opus_headers(), packets)
    return Sample(Container.OGG, "opus", b"".join(announcing + rest), packets)


def speex(seed: int = 1, extra: int = 0) -> Sample:
    packets = noise(seed, 62, 62, 62)
    announcing, rest = stream(speex_headers(extra), packets)
    return Sample(Container.OGG, "spx", b"".join(announcing + rest), packets)


def flac(seed: int = 1) -> Sample:
    from .lossless import flac_frames

    packets = flac_frames(seed)
    announcing, rest = stream(flac_headers(), packets)
    return Sample(Container.OGG, "oga", b"".join(announcing + rest), packets)
