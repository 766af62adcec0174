"""Lossless codecs with a container of their own, and Musepack."""

from __future__ import annotations

import struct

from server.hashing.container import Container

from .sample import Sample, noise

STREAM_INFO = bytes.fromhex("1000100000000e0000100ac442f000010000") + bytes(16)


def flac_frames(seed: int, count: int = 4) -> tuple[bytes, ...]:
    """Frames with a true header: 4,096 samples, 44.1 kHz, stereo, 16 bit, numbered from 0."""
    return tuple(
        header + bytes([_crc8(header)]) + body
        for number, body in enumerate(noise(seed, *[500] * count))
        for header in [b"\xff\xf8\xc9\x18" + bytes([number])]
    )


def flac(seed: int = 1, blocks: tuple[tuple[int, bytes], ...] = ((1, bytes(100)),)) -> Sample:
    """`blocks`: kind and body of the metadata blocks behind STREAMINFO; 1 is padding."""
    frames = flac_frames(seed)
    metadata = [(0, STREAM_INFO), *blocks]
    data = b"fLaC"
    for index, (kind, body) in enumerate(metadata):
        is_last = index == len(metadata) - 1
        data += bytes([kind | (0x80 if is_last else 0)]) + struct.pack(">I", len(body))[1:] + body
    return Sample(Container.FLAC, "flac", data + b"".join(frames), frames)


def ape(seed: int = 1) -> Sample:
    """Version 3.99, with a seek table, a wave header and a trailer."""
    (frames,) = noise(seed, 3000)
    seek_table, wave_header, trailer = bytes(8), b"RIFF" * 11, b"LIST"
    sizes = (52, 24, len(seek_table), len(wave_header), len(frames), 0, len(trailer))
    descriptor = b"MAC " + struct.pack("<HH7I", 3990, 0, *sizes) + bytes(16)
    header = struct.pack("<HHIIIHHI", 2000, 0, 73728, 1000, 2, 16, 2, 44100)
    return Sample(Container.APE, "ape", descriptor + header + seek_table + wave_header + frames + trailer, (frames,))


def old_ape(seed: int = 1) -> Sample:
    """Version 3.96, with a peak level and an explicit number of seek elements."""
    (frames,) = noise(seed, 3000)
    wave_header, trailer = b"RIFF" * 11, b"LIST"
    header = b"MAC " + struct.pack("<HHHHIIIII", 3960, 2000, 0x16, 2, 44100, len(wave_header), len(trailer), 2, 1000)
    start = header + struct.pack("<II", 32767, 2) + wave_header + bytes(8)
    return Sample(Container.APE, "ape", start + frames + trailer, (frames,))


def tta(seed: int = 1) -> Sample:
    (frames,) = noise(seed, 3000)
    header = b"TTA1" + struct.pack("<HHHIII", 1, 2, 16, 44100, 100_000, 0)  # three frames of 46,080 samples
    return Sample(Container.TTA, "tta", header + bytes(3 * 4 + 4) + frames, (frames,))


def tak(seed: int = 1) -> Sample:
    (frames,) = noise(seed, 3000)
    blocks = b"".join(bytes([kind, size, 0, 0]) + bytes([kind]) * size for kind, size in ((1, 13), (4, 7), (0, 3)))
    return Sample(Container.TAK, "tak", b"tBaK" + blocks + frames, (frames,))


def wavpack_sub_block(kind: int, body: bytes) -> bytes:
    """A metadata sub-block; an odd body is padded to a whole word."""
    words = (len(body) + 1) // 2
    kind |= 0x40 if len(body) % 2 else 0
    size = bytes([kind | 0x80]) + struct.pack("<I", words)[:3] if words > 255 else bytes([kind, words])
    return size + body + bytes(len(body) % 2)


def wavpack_block(samples: int, sub_blocks: bytes, total: int = 88200, index: int = 0, checksum: int = 7) -> bytes:
    flags = 0x1801 | 9 << 23  # 16 bit, first and last of its kind, 44.1 kHz
    fields = struct.pack("<HBBIIIII", 0x410, 0, 0, total, index, samples, flags, checksum)
    return b"wvpk" + struct.pack("<I", len(fields) + len(sub_blocks)) + fields + sub_blocks


def wavpack(seed: int = 1, total: int = 88200, extra: bytes = b"") -> Sample:
    """Three blocks with samples and one without; `extra`: optional sub-blocks for the first."""
    first, second, third = (wavpack_sub_block(0x0A, body) for body in noise(seed, 801, 600, 601))
    terms = wavpack_sub_block(2, b"\x12\x34")
    blocks = [
        wavpack_block(44100, extra + terms + first, total, 0, 11),
        wavpack_block(22050, terms + second, total, 44100, 12),
        wavpack_block(22050, terms + third, total, 66150, 13),
        wavpack_block(0, wavpack_sub_block(0x26, bytes(16)), total, 88200),
    ]
    packets: list[bytes] = []
    for block, body in zip(blocks, (first, second, third), strict=False):
        packets += [block[20:32], terms + body]
    return Sample(Container.WAVPACK, "wv", b"".join(blocks), tuple(packets))


def musepack7(seed: int = 1, gain: bytes = bytes(8)) -> Sample:
    (stream,) = noise(seed, 3000)
    header = b"MP+\x07" + struct.pack("<II", 100, 0x5CA00000) + gain + b"\0\0\0\x94"
    return Sample(Container.MUSEPACK, "mpc", header + stream, (stream,))


def musepack5(seed: int = 1) -> Sample:
    """Stream version 5, which has no magic number."""
    (stream,) = noise(seed, 3000)
    return Sample(Container.MUSEPACK, "mpc", bytes.fromhex("c12f2000f2030000") + stream, (stream,))


def musepack8(seed: int = 1, gain: bytes = b"\1" + bytes(8)) -> Sample:
    packets = noise(seed, 700, 20, 800)

    def packet(kind: bytes, body: bytes) -> bytes:
        size = len(body) + 3
        if size < 128:
            return kind + bytes([size]) + body
        size += 1
        return kind + bytes([0x80 | size >> 7, size & 0x7F]) + body

    head = packet(b"SH", bytes(4) + b"\x08\x9e\x60\x00\x05\x17") + packet(b"RG", gain) + packet(b"EI", bytes(4))
    audio = b"".join(packet(b"AP", body) for body in packets)
    return Sample(Container.MUSEPACK, "mpc", b"MPCK" + head + audio + packet(b"SE", b""), packets)


def _crc8(data: bytes) -> int:
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1 ^ 7) & 0xFF if crc & 0x80 else crc << 1
    return crc
