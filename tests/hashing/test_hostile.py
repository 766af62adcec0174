"""Files made to hurt: they may fail, but not take memory or time that their size doesn't explain."""

from __future__ import annotations

import io
import struct
import tracemalloc
from collections.abc import Callable

import pytest

from server.hashing.container import Container, identify
from server.hashing.errors import ContainerTooComplex, HashingError
from server.hashing.recording import audio_hash
from server.hashing.window import CAPACITY

from .build import mp4, ogg

MOST_MEMORY = 2 * CAPACITY + 3_000_000  # the buffer, and tables a block at a time


def mp4_with(sizes: bytes, runs: bytes, offsets: bytes) -> bytes:
    tables = mp4.box(b"stsz", sizes), mp4.box(b"stsc", runs), mp4.box(b"stco", offsets)
    return mp4.FTYP + mp4.movie(mp4.track(1, b"soun", *tables)) + bytes(100_000)


def nested_atoms(depth: int) -> bytes:
    kinds = (b"moov", b"trak", b"mdia", b"minf", b"stbl")
    return b"".join(struct.pack(">I4s", 8 * (depth - level), kinds[level % 5]) for level in range(depth))


def fragments(count: int) -> bytes:
    tables = mp4.table_box(b"stsc", 0), mp4.table_box(b"stsz", 0, 0), mp4.table_box(b"stco", 0)
    run = mp4.box(b"trun", struct.pack(">II", 0x200, 0xFFFFFFFF))
    part = mp4.box(b"traf", mp4.box(b"tfhd", struct.pack(">II", 0, 1)), run)
    return mp4.FTYP + mp4.movie(mp4.track(1, b"soun", *tables)) + mp4.box(b"moof", part) * count


ONE_RUN = struct.pack(">IIIII", 0, 1, 1, 0xFFFFFFFF, 1)

BOMBS: dict[str, Callable[[], tuple[bytes, str]]] = {
    "400,000 atoms": lambda: (mp4.FTYP + mp4.box(b"free") * 400_000, "a.m4a"),
    "nested atoms": lambda: (mp4.FTYP + nested_atoms(100_000), "a.m4a"),
    "4,294,967,295 samples": lambda: (
        mp4_with(struct.pack(">III", 0, 0, 0xFFFFFFFF), ONE_RUN, struct.pack(">III", 0, 1, 100)),
        "a.m4a",
    ),
    "4,294,967,295 chunks": lambda: (
        mp4_with(struct.pack(">III", 0, 4, 0xFFFFFFFF), ONE_RUN, struct.pack(">III", 0, 0xFFFFFFFF, 100)),
        "a.m4a",
    ),
    "chunks beyond the end": lambda: (
        mp4_with(struct.pack(">III", 0, 4, 4), ONE_RUN, struct.pack(">IIII", 0, 2, 0xFFFFFFF0, 0x7FFFFFFF)),
        "a.m4a",
    ),
    "the same chunk 500,000 times": lambda: (
        mp4_with(
            struct.pack(">III", 0, 90_000, 500_000),
            struct.pack(">IIIII", 0, 1, 1, 1, 1),
            struct.pack(">II", 0, 500_000) + b"\0\0\0\x40" * 500_000,
        ),
        "a.m4a",
    ),
    "runs that go nowhere": lambda: (
        mp4_with(
            struct.pack(">III", 0, 1, 1 << 30),
            struct.pack(">II", 0, 500_000) + b"\0\0\0\1" * 1_500_000,
            struct.pack(">III", 0, 1, 0x40),
        ),
        "a.m4a",
    ),
    "endless runs of samples": lambda: (fragments(20_000), "a.m4a"),
    "bogus lacing": lambda: (ogg.vorbis().data[:58] + (b"OggS" + bytes(22) + b"\xff" * 256) * 5000, "a.ogg"),
    "empty pages": lambda: (ogg.vorbis().data + (b"OggS" + bytes(23)) * 100_000, "a.ogg"),
    "magic numbers only": lambda: (ogg.vorbis().data[:58] + b"OggS!" * 200_000, "a.ogg"),
    "extra headers": lambda: (ogg.speex(extra=0).data.replace(struct.pack("<ii", 1, 0), b"\xff" * 8, 1), "a.spx"),
    "tag beyond the end": lambda: (b"ID3\4\0\0\x7f\x7f\x7f\x7f" + bytes(3_000_000), "a.mp3"),
    "stacked tags": lambda: (b"ID3\4\0\0\0\0\0\0" * 300_000, "a.mp3"),
    "sync words": lambda: (b"\0" + b"\xff\xfb\x10" * 700_000, "a.mp3"),
    "more sync words": lambda: (b"ID3\4\0\0\0\0\0\1\0" + b"\xff\xf1\x50\x80\x00\xff" * 300_000, "a.aac"),
    "flac blocks": lambda: (b"fLaC" + b"\1\0\0\0" * 1_000_000, "a.flac"),
    "flac sync words": lambda: (b"fLaC\x01\xff\xff\xff" + b"\xff\xf8\x99\x18" * 300_000, "a.flac"),
    "trailing tags": lambda: (b"\xff\xfb\x90\x64" * 9 + (b"TAG" + bytes(125)) * 20_000, "a.mp3"),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_bomb_costs_no_memory_and_raises_nothing_else(bomb: str) -> None:
    data, name = BOMBS[bomb]()
    file = io.BytesIO(data)
    tracemalloc.start()
    try:
        container = identify(file, name)
        if container is not None:
            try:
                result = audio_hash(file, container)
            except HashingError as error:
                assert error.reason
            else:
                assert result is None or len(result) == 32
        assert tracemalloc.get_traced_memory()[1] < MOST_MEMORY
    finally:
        tracemalloc.stop()


def test_more_atoms_than_any_recording_has_are_too_complex() -> None:
    file = io.BytesIO(mp4.FTYP + mp4.box(b"free") * 1_100_000)
    with pytest.raises(ContainerTooComplex, match="atoms"):
        audio_hash(file, Container.MP4)


def test_the_same_chunk_over_and_over_is_too_complex() -> None:
    data, _ = BOMBS["the same chunk 500,000 times"]()
    with pytest.raises(ContainerTooComplex, match="same bytes"):
        audio_hash(io.BytesIO(data), Container.MP4)
