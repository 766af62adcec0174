"""WavPack 4 and 5 (https://www.wavpack.com/WavPack5FileFormat.pdf)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from server.metadata.draft import Draft
from server.metadata.errors import Damaged
from server.metadata.model import BitRateMode
from server.metadata.source import Source
from server.metadata.tagging import envelope

_HEADER_SIZE = 32
_RATES = (6000, 8000, 9600, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000, 192000)
_CUSTOM_RATE = 15
_BYTES_MASK, _MONO, _HYBRID, _FINAL = 0x3, 0x4, 0x8, 0x1000
_SHIFT_AT, _SHIFT_MASK = 13, 0x1F
_RATE_AT = 23
_DSD = 0x80000000
_UNKNOWN_TOTAL = 0xFFFFFFFF

_DSD_BLOCK, _SAMPLE_RATE = 0x0E, 0x27
_ID_MASK, _ODD_SIZE, _LARGE = 0x3F, 0x40, 0x80

_MAX_CHANNEL_BLOCKS = 512
_LAST_BLOCKS = 4 << 20  # bytes from the end in which the last block begins
_MAX_BLOCK = 1 << 20


class Block(NamedTuple):
    """The header of one block."""

    offset: int
    size: int
    """Bytes, header included."""
    total_samples: int | None
    first_sample: int
    samples: int
    flags: int


def read(source: Source, draft: Draft) -> None:
    """Read a WavPack file. Its APEv2 tag has precedence over an ID3 tag in front."""
    around = Draft()
    start = envelope.read_leading(source, around)
    end = envelope.read_trailing(source, draft, start)
    draft.fill_from(around)
    first = _block(source, start)
    if first is None:
        raise Damaged("The first WavPack block is missing or cut off.")
    draft.codec = "wavpack"
    draft.bit_rate_mode = BitRateMode.VBR
    draft.channels = _channels(source, first)
    rate_index = first.flags >> _RATE_AT & 15
    rate = 0 if rate_index == _CUSTOM_RATE else _RATES[rate_index]
    body = source.at(first.offset + _HEADER_SIZE, min(first.size, _MAX_BLOCK))
    shift = 0
    for kind, data in _sub_blocks(body):
        if kind == _SAMPLE_RATE and len(data) >= 3:
            rate = int.from_bytes(data[:4], "little") & 0x7FFFFFFF
        elif kind == _DSD_BLOCK and data:
            shift = data[0] & 31
    if first.flags & _DSD:
        rate <<= shift
        draft.codec, draft.bit_depth = "dsd", 1
    elif not first.flags & _HYBRID:
        draft.bit_depth = ((first.flags & _BYTES_MASK) + 1) * 8 - (first.flags >> _SHIFT_AT & _SHIFT_MASK)
    draft.sample_rate = rate or None
    total = first.total_samples if first.total_samples is not None else _counted_samples(source, first, end)
    if rate and total is not None:
        draft.duration_seconds = total / rate
    draft.average_bit_rate(max(0, end - start))


def _block(source: Source, offset: int) -> Block | None:
    header = source.at(offset, _HEADER_SIZE)
    if len(header) < _HEADER_SIZE or not header.startswith(b"wvpk"):
        return None
    size, _version, high_index, high_total, total, index, samples, flags = struct.unpack_from("<IHBBIIII", header, 4)
    known_total = None if total == _UNKNOWN_TOTAL else total + (high_total << 32) - high_total
    return Block(offset, size + 8, known_total, index + (high_index << 32), samples, flags)


def _channels(source: Source, first: Block) -> int:
    """A stream of more than two channels is made of several blocks for each stretch of time."""
    block: Block | None = first
    channels = 0
    for _ in range(_MAX_CHANNEL_BLOCKS):
        if block is None:
            break
        channels += 1 if block.flags & _MONO else 2
        if block.flags & _FINAL:
            break
        block = _block(source, block.offset + block.size)
    return channels


def _sub_blocks(body: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + 2 <= len(body):
        kind = body[at]
        words = int.from_bytes(body[at + 1 : at + (4 if kind & _LARGE else 2)], "little")
        at += 4 if kind & _LARGE else 2
        yield kind & _ID_MASK, body[at : at + words * 2 - (1 if kind & _ODD_SIZE else 0)]
        at += words * 2


def _counted_samples(source: Source, first: Block, end: int) -> int | None:
    """The length of a stream whose writer couldn't go back to fill it in: where the last block ends."""
    begin = max(first.offset, end - _LAST_BLOCKS)
    tail = source.at(begin, end - begin)
    at = tail.rfind(b"wvpk")
    while at >= 0:
        block = _block(source, begin + at)
        if block is not None and block.samples and block.offset + block.size <= end + 1:
            return block.first_sample + block.samples - first.first_sample
        at = tail.rfind(b"wvpk", 0, at)
    return None
