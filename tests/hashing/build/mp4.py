"""MP4 files: one audio track, with or without a second one, whole or in fragments."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from server.hashing.container import Container

from .sample import Sample, noise

FTYP = b"\0\0\0\x20ftypM4A \0\0\0\0M4A mp42isom\0\0\0\0"
SIZES = (300, 211, 404, 380, 17, 299, 305)


def box(kind: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I4s", len(body) + 8, kind) + body


def table_box(kind: bytes, *numbers: int) -> bytes:
    """A full atom with flags 0 and a table of numbers."""
    return box(kind, bytes(4), struct.pack(f">{len(numbers)}I", *numbers))


def sizes_box(sizes: Sequence[int]) -> bytes:
    return table_box(b"stsz", 0, len(sizes), *sizes)


def description(version: int = 0, channels: int = 2, bits: int = 16, extension: bytes = bytes(16)) -> bytes:
    """A `stsd` atom with one sound description; `extension`: what version 1 adds."""
    entry = struct.pack(">6xHH6xHH4xHH", 1, version, channels, bits, 44100, 0) + extension
    return box(b"stsd", bytes(4), struct.pack(">I", 1), box(b"mp4a", entry))


def track(number: int, handler: bytes, *tables: bytes) -> bytes:
    """A `trak` atom with these tables in its sample table."""
    media_header = box(b"mdhd", struct.pack(">IIIIIHH", 0, 0, 0, 44100, 7168, 0x55C4, 0))
    handler_box = box(b"hdlr", bytes(8), handler, bytes(13))
    media = box(b"mdia", media_header, handler_box, box(b"minf", box(b"smhd", bytes(8)), box(b"stbl", *tables)))
    return box(b"trak", box(b"tkhd", struct.pack(">III", 7, 0, 0), struct.pack(">I", number), bytes(68)), media)


def movie(*parts: bytes) -> bytes:
    header = box(b"mvhd", struct.pack(">IIIIIIH", 0, 0, 0, 1000, 162, 0x10000, 0x100), bytes(70))
    return box(b"moov", header, *parts)


def m4a(
    seed: int = 1,
    chunks: Sequence[int] = (3, 3, 1),
    gap: bytes = b"",
    index_last: bool = False,
    wide: bool = False,
) -> Sample:
    """An audio track in chunks of so many samples.

    `gap`: bytes of somebody else behind each chunk; with `wide`, 64-bit offsets and size of `mdat`.
    """
    packets = noise(seed, *SIZES)
    data, relative, at = b"", [], 0
    for count in chunks:
        relative.append(len(data))
        data += b"".join(packets[at : at + count]) + gap
        at += count
    runs = [number for chunk, count in enumerate(chunks) for number in (chunk + 1, count, 1)]

    def index(start: int) -> bytes:
        offsets = [start + offset for offset in relative]
        count = struct.pack(">I", len(offsets))
        code, kind = ("Q", b"co64") if wide else ("I", b"stco")
        places = box(kind, bytes(4), count, struct.pack(f">{len(offsets)}{code}", *offsets))
        tables = (
            description(),
            table_box(b"stts", 1, len(packets), 1024),
            table_box(b"stsc", len(chunks), *runs),
            sizes_box([len(packet) for packet in packets]),
            places,
        )
        return movie(track(1, b"soun", *tables))

    header = struct.pack(">I4sQ", 1, b"mdat", len(data) + 16) if wide else struct.pack(">I4s", len(data) + 8, b"mdat")
    if index_last:
        whole = FTYP + header + data + index(len(FTYP) + len(header))
    else:
        length = len(index(0))
        whole = FTYP + index(len(FTYP) + length + len(header)) + header + data
    return Sample(Container.MP4, "m4a", whole, packets)


def fragmented(seed: int = 1, base: str = "moof", states_sizes: bool = True) -> Sample:
    """The same audio in two fragments. `base`: what data offsets count from, "moof", "file" or "implied"."""
    packets = noise(seed, *(SIZES if states_sizes else [300] * len(SIZES)))
    empty = (description(), table_box(b"stsc", 0), table_box(b"stsz", 0, 0), table_box(b"stco", 0))
    extends = box(b"mvex", box(b"trex", struct.pack(">IIIIII", 0, 1, 1, 1024, 0 if states_sizes else 300, 0)))
    data = FTYP + movie(track(1, b"soun", *empty), extends)
    for group in (packets[:4], packets[4:]):
        body = b"".join(group)

        def fragment(start: int, offset: int, group: tuple[bytes, ...] = group) -> bytes:
            flags = {"moof": 0x20000, "file": 1, "implied": 0}[base]
            where = struct.pack(">Q", start) if base == "file" else b""
            header = box(b"tfhd", struct.pack(">II", flags, 1), where)
            rows = b"".join(struct.pack(">II", 1024, len(packet)) for packet in group) if states_sizes else b""
            run_flags = 0x301 if states_sizes else 1
            run = box(b"trun", struct.pack(">IIi", run_flags, len(group), offset), rows)
            return box(b"moof", box(b"mfhd", bytes(8)), box(b"traf", header, run))

        length = len(fragment(0, 0))
        data += fragment(len(data), length + 8) + box(b"mdat", body)
    return Sample(Container.MP4, "m4a", data, packets)
