"""WAV: RIFF, its 64-bit kin RF64 and BW64, and Sony Wave64.

Formats: Microsoft's RIFF and WAVEFORMATEX; EBU Tech 3306 (`ds64`), EBU Tech 3285 (`bext`).
"""

from __future__ import annotations

import math
import struct

from server.hashing import chunks
from server.metadata import tempo
from server.metadata.draft import Draft
from server.metadata.errors import Damaged
from server.metadata.guard import attempt
from server.metadata.model import BitRateMode
from server.metadata.source import Source
from server.metadata.tagging import envelope, id3_tag, riff_info

_RIFF = chunks.Layout("little", alignment=2)
_W64 = chunks.Layout("little", id_size=16, size_size=8, counts_header=True, alignment=8)
_W64_LIST = b"list\x2f\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00"
_UNKNOWN_SIZES = (0xFFFFFFFF, -24)  # RF64's, and what Wave64 makes of a size of 0
_MAX_INFO = 4 << 20

_EXTENSIBLE = 0xFFFE
_CODECS = {
    0x0001: "pcm",
    0x0002: "adpcm",
    0x0003: "pcm_float",
    0x0006: "alaw",
    0x0007: "mulaw",
    0x0011: "adpcm",
    0x0031: "gsm",
    0x0050: "mp2",
    0x0055: "mp3",
    0x0092: "ac3",
    0x00FF: "aac",
    0x0161: "wma",
    0x2000: "ac3",
    0x2001: "dts",
    0x674F: "vorbis",
    0xF1AC: "flac",
}
_CONSTANT_SIZE = ("pcm", "pcm_float", "alaw", "mulaw")


def read(source: Source, draft: Draft) -> None:
    """Read a RIFF, RF64 or BW64 file."""
    start = envelope.read_leading(source, Draft())
    _read_chunks(source, draft, start + 12, _RIFF)


def read_w64(source: Source, draft: Draft) -> None:
    """Read a Wave64 file, whose chunk ids are GUIDs that begin with RIFF's four letters."""
    _read_chunks(source, draft, 40, _W64)


def _read_chunks(source: Source, draft: Draft, start: int, layout: chunks.Layout) -> None:
    layout_of_samples = b""
    large_data, data_size, samples = 0, None, 0
    info = Draft()  # the ID3 tag comes behind it and has precedence: it is what DJ software keeps up to date
    for chunk in chunks.walk(source.window, start, layout):
        kind, offset, size = chunk.kind[:4], chunk.offset, chunk.size
        if kind == b"fmt ":
            layout_of_samples = source.at(offset, min(size, 40))
        elif kind == b"data" and data_size is None:
            is_unknown = size in _UNKNOWN_SIZES
            data_size = large_data if is_unknown and large_data else source.size - offset if is_unknown else size
            data_size = min(data_size, source.size - offset) if is_unknown else data_size
            if is_unknown and not large_data:
                break
        elif kind == b"fact":
            samples = int.from_bytes(source.at(offset, 4), "little")
        elif kind == b"ds64":
            large_data = int.from_bytes(source.at(offset + 8, 8), "little")
        elif kind == b"LIST" or chunk.kind == _W64_LIST:
            _read_list(source, info, offset, size)
        elif kind in (b"id3 ", b"ID3 "):
            attempt(draft, id3_tag.read, draft, source, offset, min(size, source.size - offset))
        elif kind == b"bext":
            _read_broadcast(source, info, offset)
        elif kind == b"acid":
            _read_acid(source, info, offset)
    draft.fill_from(info)
    _describe(draft, layout_of_samples, data_size or 0, samples)


def _describe(draft: Draft, sample_layout: bytes, data_size: int, samples: int) -> None:
    if len(sample_layout) < 14:
        raise Damaged("The WAV file has no format chunk.")
    tag, channels, rate, byte_rate, block = struct.unpack("<HHIIH", sample_layout[:14])
    bits = int.from_bytes(sample_layout[14:16], "little")
    if tag == _EXTENSIBLE and len(sample_layout) >= 26:
        tag = int.from_bytes(sample_layout[24:26], "little")
    codec = _CODECS.get(tag, f"wav_{tag:04x}")
    draft.codec, draft.channels, draft.sample_rate = codec, channels, rate
    draft.bit_rate_mode = BitRateMode.CBR
    if codec in _CONSTANT_SIZE:
        draft.bit_depth = bits
        frame_size = block or channels * ((bits + 7) // 8)
        draft.duration_seconds = data_size / frame_size / rate if frame_size and rate else None
        draft.bit_rate = rate * frame_size * 8
        return
    if samples and rate:
        draft.duration_seconds = samples / rate
    elif byte_rate:
        draft.duration_seconds = data_size / byte_rate
    draft.bit_rate = byte_rate * 8
    if data_size:
        draft.average_bit_rate(data_size)


def _read_list(source: Source, info: Draft, offset: int, size: int) -> None:
    body = source.at(offset, min(size, _MAX_INFO))
    if body.startswith(b"INFO"):
        riff_info.fill(info, body[4:])


def _read_broadcast(source: Source, info: Draft, offset: int) -> None:
    """The Broadcast Wave extension: description, originator, and the date the recording was made."""
    body = source.at(offset, 330)
    for field, start, length in (("description", 0, 256), ("date", 320, 10)):
        if text := riff_info.decode(body[start : start + length]).strip():
            info.offer(field, [text])


def _read_acid(source: Source, info: Draft, offset: int) -> None:
    """The loop chunk of Sonic Foundry's ACID; its last word is the tempo."""
    body = source.at(offset, 24)
    beats_per_minute = struct.unpack("<f", body[20:24])[0] if len(body) == 24 else 0.0
    if math.isfinite(beats_per_minute) and tempo.SLOWEST <= beats_per_minute <= tempo.FASTEST:
        info.offer("bpm", [f"{beats_per_minute:.2f}"])
