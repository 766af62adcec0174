"""DSD audio: Sony's DSF (DSF File Format Specification 1.01) and Philips' DSDIFF (version 1.5)."""

from __future__ import annotations

import struct

from server.hashing import chunks
from server.metadata.draft import Draft
from server.metadata.errors import Damaged
from server.metadata.guard import attempt
from server.metadata.model import BitRateMode
from server.metadata.source import Source
from server.metadata.tagging import id3, id3_tag, riff_info

_DFF = chunks.Layout("big", size_size=8, alignment=2)
_MAX_PROPERTIES = 1 << 20
_HEADER = 12  # of a DSDIFF chunk


def read_dsf(source: Source, draft: Draft) -> None:
    """Read a DSF file; its ID3 tag is where the header points."""
    header = source.at(0, 80)
    if len(header) < 80 or header[28:32] != b"fmt ":
        raise Damaged("The DSF header is cut off.")
    pointer = int.from_bytes(header[20:28], "little")
    if pointer and (size := id3.tag_size(source.at(pointer, id3.HEADER_SIZE))):
        attempt(draft, id3_tag.read, draft, source, pointer, min(size, source.size - pointer))
    channels, rate, bits, samples = struct.unpack_from("<IIIQ", header, 52)
    _describe(draft, channels, rate)
    if rate:
        draft.duration_seconds = samples / rate
    draft.bit_rate = rate * channels * (1 if bits == 8 else bits)  # 8 is the bit order, most significant first


def read_dff(source: Source, draft: Draft) -> None:
    """Read a DSDIFF file: its ID3 chunk, and the artist and title of its edited-master information."""
    rate = channels = 0
    compression = b"DSD "
    texts = Draft()
    for chunk in chunks.walk(source.window, 16, _DFF):
        if chunk.kind in (b"PROP", b"DIIN"):
            body = source.at(chunk.offset, min(chunk.size, _MAX_PROPERTIES))
            for kind, value in _parts(body, 4 if chunk.kind == b"PROP" else 0):
                if kind == b"FS  ":
                    rate = int.from_bytes(value[:4], "big")
                elif kind == b"CHNL":
                    channels = int.from_bytes(value[:2], "big")
                elif kind == b"CMPR":
                    compression = value[:4]
                elif kind in (b"DIAR", b"DITI"):
                    length = int.from_bytes(value[:4], "big")
                    texts.offer("artist" if kind == b"DIAR" else "title", [riff_info.decode(value[4 : 4 + length])])
        elif chunk.kind == b"DSD " and rate and channels:
            draft.duration_seconds = chunk.size * 8 / channels / rate
            draft.bit_rate = rate * channels
        elif chunk.kind == b"DST ":
            frames, per_second = struct.unpack(">IH", source.at(chunk.offset + _HEADER, 6).ljust(6, b"\0"))
            draft.duration_seconds = frames / per_second if per_second else None
            draft.average_bit_rate(max(0, min(chunk.size, source.size - chunk.offset)))
        elif chunk.kind in (b"ID3 ", b"id3 "):
            attempt(draft, id3_tag.read, draft, source, chunk.offset, min(chunk.size, source.size - chunk.offset))
    draft.fill_from(texts)
    if not rate:
        raise Damaged("The DSDIFF file has no sample rate.")
    _describe(draft, channels, rate)
    if compression == b"DST ":
        draft.codec, draft.bit_rate_mode = "dst", BitRateMode.VBR


def _describe(draft: Draft, channels: int, rate: int) -> None:
    draft.codec, draft.bit_depth, draft.bit_rate_mode = "dsd", 1, BitRateMode.CBR
    draft.channels, draft.sample_rate = channels, rate


def _parts(body: bytes, at: int) -> list[tuple[bytes, bytes]]:
    """The chunks inside a chunk."""
    parts: list[tuple[bytes, bytes]] = []
    while at + _HEADER <= len(body) and len(parts) < chunks.MAX_CHUNKS:
        size = int.from_bytes(body[at + 4 : at + _HEADER], "big")
        parts.append((body[at : at + 4], body[at + _HEADER : at + _HEADER + size]))
        at += _HEADER + size + (size & 1)
    return parts
