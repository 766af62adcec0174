"""Streams that are nothing but frames."""

from __future__ import annotations

from server.hashing.container import Container

from .sample import Sample, noise

MPEG_FRAME = 417  # 128 kbit/s at 44.1 kHz


def mpeg_frames(seed: int, count: int = 12) -> tuple[bytes, ...]:
    return tuple(b"\xff\xfb\x90\x64" + body for body in noise(seed, *[MPEG_FRAME - 4] * count))


def info_frame(kind: bytes = b"Xing", header: bytes = b"\xff\xfb\x90\x64") -> bytes:
    """A frame with the encoder's table of contents, behind the 32 bytes of side information of stereo MPEG-1."""
    return (header + bytes(32) + kind + b"\0\0\0\x0f" + bytes(100)).ljust(MPEG_FRAME, b"\0")


def mpeg(seed: int = 1, extension: str = "mp3") -> Sample:
    frames = mpeg_frames(seed)
    return Sample(Container.MPEG, extension, b"".join(frames), frames)


def adts(seed: int = 1) -> Sample:
    frames = tuple(
        bytes([0xFF, 0xF1, 0x50, 0x80 | size >> 11, size >> 3 & 0xFF, (size & 7) << 5 | 0x1F, 0xFC]) + body
        for body in noise(seed, 200, 311, 190, 250, 222)
        for size in [len(body) + 7]
    )
    return Sample(Container.ADTS, "aac", b"".join(frames), frames)


def ac3(seed: int = 1) -> Sample:
    frames = tuple(b"\x0b\x77\0\0\x00\x40" + body for body in noise(seed, *[122] * 6))  # 32 kbit/s at 48 kHz
    return Sample(Container.AC3, "ac3", b"".join(frames), frames)


def eac3(seed: int = 1) -> Sample:
    frames = tuple(b"\x0b\x77\x00\x7f\x3f\x80" + body for body in noise(seed, *[250] * 6))
    return Sample(Container.AC3, "eac3", b"".join(frames), frames)


def adif(seed: int = 1) -> Sample:
    (stream,) = noise(seed, 2000)
    return Sample(Container.ADIF, "aac", b"ADIF" + stream, (stream,))
