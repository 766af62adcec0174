"""Ogg (RFC 3533) with Vorbis, Opus (RFC 7845), Speex, FLAC; of a film, its sound track or else its Theora stream."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import NamedTuple

from server.metadata.draft import Draft
from server.metadata.errors import Damaged, NoAudio, Truncated
from server.metadata.model import BitRateMode
from server.metadata.readers import flac
from server.metadata.source import Source
from server.metadata.tagging import envelope, vorbis

_CAPTURE = b"OggS"
_HEADER_SIZE = 27
_LARGEST_PAGE = _HEADER_SIZE + 255 + 255 * 255
_BEGINS_STREAM, _CONTINUES_PACKET = 2, 1
_NO_POSITION = 0xFFFFFFFF_FFFFFFFF
_MAX_HEADER_PAGES = 4096  # a comment header with a picture of 16 MiB takes about 350
_MAX_HEADER = 64 << 20
_TAIL = 128 << 10
_WALK = 1 << 20  # bytes over which the share of page headers in the stream is measured


class Page(NamedTuple):
    """One page: the header's facts and where its packets lie."""

    offset: int
    flags: int
    position: int
    """Granule position: samples up to its end, in the codec's own clock."""
    serial: int
    lacing: bytes
    """Segment lengths; a packet ends at each one below 255."""
    body: int
    end: int


class Codec(NamedTuple):
    """How one codec's streams begin."""

    name: str
    magic: bytes
    comment_magic: bytes
    """In front of the Vorbis comments in the second packet."""
    describe: Callable[[Draft, bytes], int]
    """Fills in the facts of the first packet; returns how many samples at the start aren't heard."""


def read(source: Source, draft: Draft) -> None:
    """Read an Ogg file: its first audio stream, or the first Theora stream when it has no sound."""
    start = envelope.read_leading(source, Draft())
    codec, first, packet = _find_stream(source, start)
    unheard = codec.describe(draft, packet)
    draft.codec = codec.name
    audio = _read_headers(source, draft, codec, first)
    position = _last_position(source, first.serial)
    if position is not None and draft.sample_rate:
        clock = _OPUS_CLOCK if codec.name == "opus" else draft.sample_rate
        draft.duration_seconds = max(0, position - unheard) / clock
    elif codec.name == "theora" and position is not None:
        draft.duration_seconds = _theora_seconds(packet, position)
    else:
        draft.duration_seconds = 0.0
    if draft.bit_rate is None and codec.name in ("opus", "flac"):
        draft.average_bit_rate(_payload_size(source, first.serial, audio))


def _page(source: Source, offset: int) -> Page | None:
    header = source.at(offset, _HEADER_SIZE + 255)
    if len(header) < _HEADER_SIZE or not header.startswith(_CAPTURE):
        return None
    flags, position, serial = struct.unpack_from("<xBQI", header, 4)
    lacing = header[_HEADER_SIZE : _HEADER_SIZE + header[26]]
    body = offset + _HEADER_SIZE + header[26]
    return Page(offset, flags, position, serial, lacing, body, body + sum(lacing))


def _pages(source: Source, offset: int) -> Iterator[Page]:
    while (page := _page(source, offset)) is not None:
        yield page
        offset = page.end


def _find_stream(source: Source, start: int) -> tuple[Codec, Page, bytes]:
    """The codec, first page and first packet of the stream to describe. All streams begin before any goes on."""
    theora = None
    for page in _pages(source, start):
        if not page.flags & _BEGINS_STREAM:
            break
        packet = source.at(page.body, min(page.end - page.body, 1024))
        for codec in _CODECS:
            if packet.startswith(codec.magic):
                if codec.name != "theora":
                    return codec, page, packet
                theora = theora or (codec, page, packet)
    if theora is None:
        raise NoAudio("No stream in the Ogg file has a codec that Mismo knows.")
    return theora


def _read_headers(source: Source, draft: Draft, codec: Codec, first: Page) -> int:
    """Read the header packets behind the first; returns the offset behind the page they end on."""
    audio = first.end
    for packet, page_end in _packets(source, first):
        if codec.name == "flac":
            kind = packet[0] & 0x7F if packet else 0xFF
            if packet[:1] == b"\xff" or kind > flac.PICTURE:
                break
            if kind == flac.VORBIS_COMMENT:
                vorbis.fill_block(draft, vorbis.parse(packet[4:]))
            elif kind == flac.PICTURE:
                vorbis.add_flac_picture(draft, packet[4:])
            audio = page_end
            if packet[0] & 0x80:
                break
            continue
        if packet.startswith(codec.comment_magic):
            vorbis.fill_block(draft, vorbis.parse(packet[len(codec.comment_magic) :]))
        return page_end
    return audio


def _packets(source: Source, first: Page) -> Iterator[tuple[bytes, int]]:
    """The stream's packets behind its first page, each with the offset behind the page it ends on.

    The last one may be cut off by the end of the file. Raises Damaged when there is no end to the headers.
    """
    parts: list[bytes] = []
    size = 0
    end = first.end
    for number, page in enumerate(_pages(source, first.end)):
        if number > _MAX_HEADER_PAGES or size > _MAX_HEADER:
            raise Damaged("The Ogg stream's headers don't end.")
        if page.serial != first.serial:
            continue
        begin = at = page.body
        for segment in page.lacing:
            at += segment
            if segment < 255:
                yield b"".join([*parts, source.at(begin, at - begin)]), page.end
                parts.clear()
                begin, size = at, 0
        parts.append(source.at(begin, at - begin))
        size += at - begin
        end = page.end
    if any(parts):
        yield b"".join(parts), end


def _last_position(source: Source, serial: int) -> int | None:
    """The position of the stream's last page, looked for from the end of the file."""
    wanted = struct.pack("<I", serial)
    end = source.size
    while end > 0:
        begin = max(0, end - _TAIL)
        block = source.at(begin, end - begin + _HEADER_SIZE)
        at = block.rfind(_CAPTURE)
        while at >= 0:
            if block[at + 14 : at + 18] == wanted and block[at + 4 : at + 5] == b"\0":
                page = _page(source, begin + at)
                if page is not None and page.position not in (_NO_POSITION, 0) and page.end <= source.size:
                    return page.position
            at = block.rfind(_CAPTURE, 0, at)
        if source.size - begin > 2 * _LARGEST_PAGE + _TAIL:
            break
        end = begin
    return _last_position_forward(source, serial)


def _last_position_forward(source: Source, serial: int) -> int | None:
    """The same over the whole file, when other data follows the stream."""
    last = None
    for page in _pages(source, source.at(0, 4096).find(_CAPTURE)):
        if page.serial == serial and page.position not in (_NO_POSITION, 0) and page.end <= source.size:
            last = page.position
    return last


def _payload_size(source: Source, serial: int, start: int) -> int:
    """Bytes of the stream's packets from `start` on; of a long file the share of page headers is extrapolated."""
    payload, at = 0, start
    for page in _pages(source, start):
        if page.serial == serial and page.end <= source.size:
            payload += page.end - page.body
        at = page.end
        if at - start > _WALK:
            return payload * (source.size - start) // (at - start)
    return max(0, payload)


def _describe_vorbis(draft: Draft, packet: bytes) -> int:
    if len(packet) < 28:
        raise Truncated("The Vorbis identification header is cut off.")
    channels, rate, most, nominal, least = struct.unpack_from("<BIiii", packet, 11)
    draft.channels, draft.sample_rate = channels, rate
    if nominal > 0:
        draft.bit_rate = min(max(nominal, least), most) if most > 0 else max(nominal, least)
    elif most > 0 and least > 0:
        draft.bit_rate = (most + least) / 2
    if most > 0 and most == least:
        draft.bit_rate_mode = BitRateMode.CBR
    else:
        draft.bit_rate_mode = BitRateMode.ABR if most > 0 or least > 0 else BitRateMode.VBR
    return 0


_OPUS_CLOCK = 48_000  # Opus always decodes to 48 kHz (RFC 7845, 4); the header's rate is the encoder's input


def _describe_opus(draft: Draft, packet: bytes) -> int:
    if len(packet) < 19:
        raise Truncated("The Opus identification header is cut off.")
    draft.channels, draft.sample_rate = packet[9], _OPUS_CLOCK
    draft.bit_rate_mode = BitRateMode.VBR
    return int.from_bytes(packet[10:12], "little")


def _describe_speex(draft: Draft, packet: bytes) -> int:
    if len(packet) < 64:
        raise Truncated("The Speex header is cut off.")
    rate, _mode, _version, channels, bit_rate, _size, is_vbr = struct.unpack_from("<iiiiiii", packet, 36)
    draft.channels, draft.sample_rate = channels, rate
    draft.bit_rate = bit_rate if bit_rate > 0 else None
    draft.bit_rate_mode = BitRateMode.VBR if is_vbr else BitRateMode.CBR
    return 0


def _describe_flac(draft: Draft, packet: bytes) -> int:
    flac.read_stream_info(draft, packet[17 : 17 + flac.STREAMINFO_SIZE])
    if draft.duration_seconds == 0:  # unknown when it was written
        draft.duration_seconds = None
    return 0


def _describe_theora(draft: Draft, packet: bytes) -> int:
    if len(packet) < 42:
        raise Truncated("The Theora header is cut off.")
    draft.bit_rate = int.from_bytes(packet[37:40], "big") or None
    return 0


def _theora_seconds(packet: bytes, position: int) -> float:
    """Granule positions count key frames above a shift and the frames since below it."""
    numerator, denominator = struct.unpack_from(">II", packet, 22)
    shift = int.from_bytes(packet[40:42], "big") >> 5 & 0x1F
    frames = (position >> shift) + (position & (1 << shift) - 1)
    return frames * denominator / numerator if numerator else 0.0


_CODECS = (
    Codec("vorbis", b"\x01vorbis", b"\x03vorbis", _describe_vorbis),
    Codec("opus", b"OpusHead", b"OpusTags", _describe_opus),
    Codec("speex", b"Speex   ", b"", _describe_speex),
    Codec("flac", b"\x7fFLAC", b"", _describe_flac),
    Codec("theora", b"\x80theora", b"\x81theora", _describe_theora),
)
