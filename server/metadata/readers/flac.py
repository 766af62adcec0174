"""FLAC in its own container (RFC 9639)."""

from __future__ import annotations

from server.metadata.draft import Draft
from server.metadata.errors import Damaged
from server.metadata.model import BitRateMode
from server.metadata.source import Source
from server.metadata.tagging import envelope, vorbis

STREAMINFO, VORBIS_COMMENT, PICTURE = 0, 4, 6
STREAMINFO_SIZE = 34

_LAST_BLOCK = 0x80
_INVALID_TYPE = 127
_MAX_BLOCKS = 1024
_PICTURE_HEADER = 512
_MISSTATED_COMMENTS = 256 << 10


def read(source: Source, draft: Draft) -> None:
    """Read a FLAC file. Vorbis comments have precedence over ID3 tags stuck to either end."""
    around = Draft()
    start = envelope.read_leading(source, around)
    end = envelope.read_trailing(source, around, start)
    if source.at(start, 4) != b"fLaC":
        raise Damaged("The FLAC marker isn't behind the tags.")
    audio = _read_blocks(source, draft, start + 4)
    draft.fill_from(around)
    if draft.sample_rate is None:
        raise Damaged("The FLAC file has no valid stream information.")
    draft.average_bit_rate(max(0, end - audio))


def _read_blocks(source: Source, draft: Draft, offset: int) -> int:
    """Read the metadata blocks; returns the offset behind them."""
    for _ in range(_MAX_BLOCKS):
        header = source.at(offset, 4)
        kind = header[0] & 0x7F if len(header) == 4 else _INVALID_TYPE
        if kind == _INVALID_TYPE:
            break
        size = int.from_bytes(header[1:], "big")
        body = offset + 4
        if kind == STREAMINFO and draft.codec is None:
            read_stream_info(draft, source.at(body, STREAMINFO_SIZE))
        elif kind == VORBIS_COMMENT:
            size = _read_comments(source, draft, body, size)
        elif kind == PICTURE:
            # The size in the block's header has 24 bits; the picture's own has 32, and wins where it fits.
            own_size = vorbis.add_flac_picture(draft, source.at(body, _PICTURE_HEADER))
            size = max(size, own_size) if body + own_size <= source.size else size
        offset = body + size
        if header[0] & _LAST_BLOCK:
            break
    return min(offset, source.size)


def _read_comments(source: Source, draft: Draft, offset: int, size: int) -> int:
    """Read the comments; returns the block's size, which some writers state too small."""
    block = vorbis.parse(source.at(offset, max(size, 8)))
    if not block.is_whole:
        larger = vorbis.parse(source.at(offset, _MISSTATED_COMMENTS))
        if larger.is_whole:
            block, size = larger, larger.size
    vorbis.fill_block(draft, block)
    return size


def read_stream_info(draft: Draft, block: bytes) -> None:
    """The STREAMINFO block (RFC 9639, 8.2), from which everything about the stream follows."""
    if len(block) < 18:
        raise Damaged("The FLAC stream information is cut off.")
    packed = int.from_bytes(block[10:18], "big")
    draft.codec = "flac"
    draft.bit_rate_mode = BitRateMode.VBR
    draft.channels = (packed >> 41 & 0x7) + 1
    draft.bit_depth = (packed >> 36 & 0x1F) + 1
    draft.sample_rate = packed >> 44 or None
    if draft.sample_rate:
        draft.duration_seconds = (packed & 0xF_FFFF_FFFF) / draft.sample_rate
