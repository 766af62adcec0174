"""Matroska files with one audio track."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from server.hashing.container import Container

from .sample import Sample, noise

UNKNOWN = b"\x01\xff\xff\xff\xff\xff\xff\xff"
SIZES = (100, 300, 40, 40, 255, 510, 77)


def vint(value: int, length: int = 0) -> bytes:
    """A variable-size integer, as short as it goes or of `length` bytes."""
    length = length or next(size for size in range(1, 9) if value < (1 << 7 * size) - 1)
    return (value | 1 << 7 * length).to_bytes(length, "big")


def element(kind: int, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return kind.to_bytes((kind.bit_length() + 7) // 8, "big") + vint(len(body)) + body


def block(frames: Sequence[bytes], track: int = 1, lacing: str = "none") -> bytes:
    """The body of a block."""
    kind = ("none", "xiph", "fixed", "ebml").index(lacing)
    head = vint(track) + b"\0\0" + bytes([kind << 1])
    sizes = [len(frame) for frame in frames]
    if lacing != "none":
        head += bytes([len(frames) - 1])
    if lacing == "xiph":
        head += b"".join(b"\xff" * (size // 255) + bytes([size % 255]) for size in sizes[:-1])
    if lacing == "ebml":
        head += vint(sizes[0], 2)
        head += b"".join(vint(b - a + (1 << 13) - 1, 2) for a, b in pairwise(sizes[:-1]))
    return head + b"".join(frames)


def tracks(stripped: bytes = b"") -> bytes:
    """Video as number 2, then audio as number 1, which may keep the first bytes of its frames here."""
    encodings = b""
    if stripped:
        compression = element(0x5034, element(0x4254, b"\x03"), element(0x4255, stripped))
        encodings = element(0x6D80, element(0x6240, compression))
    video = element(0xAE, element(0xD7, b"\x02"), element(0x83, b"\x01"))
    audio = element(0xAE, element(0xD7, b"\x01"), element(0x83, b"\x02"), encodings)
    return element(0x1654AE6B, video, audio)


def document(*parts: bytes) -> bytes:
    """A document whose segment doesn't know its size."""
    return element(0x1A45DFA3, element(0x4282, b"matroska")) + b"\x18\x53\x80\x67" + UNKNOWN + b"".join(parts)


def mka(
    seed: int = 1, lacing: str = "none", grouped: bool = False, live: bool = False, stripped: bytes = b""
) -> Sample:
    """Two clusters with frames of video between those of audio.

    `grouped`: block groups instead of simple blocks. `live`: clusters of unknown size.
    """
    packets = tuple(stripped + body for body in noise(seed, *([90] * 6 if lacing == "fixed" else SIZES)))
    clusters = []
    for number, group in enumerate((packets[:3], packets[3:])):
        frames = [packet[len(stripped) :] for packet in group]
        blocks = [block(frames, lacing=lacing)] if lacing != "none" else [block([frame]) for frame in frames]
        (picture,) = noise(1000 + number, 200)
        bodies = [block([picture], track=2), *blocks]
        timestamp, duration = element(0xE7, bytes([number])), element(0x9B, b"\x14")
        simple = [element(0xA3, body) for body in bodies]
        whole = timestamp + b"".join(
            [element(0xA0, element(0xA1, body), duration) for body in bodies] if grouped else simple
        )
        clusters.append(b"\x1f\x43\xb6\x75" + (UNKNOWN if live else vint(len(whole))) + whole)
    tags = element(0x1254C367, element(0x7373, element(0x67C8, element(0x45A3, b"TITLE"))))
    data = document(element(0xEC, bytes(50)), tracks(stripped), *clusters, tags)
    return Sample(Container.MATROSKA, "mka", data, packets)
