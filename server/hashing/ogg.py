"""Ogg with Vorbis, Opus, Speex or FLAC inside.

Pages: RFC 3533. Mappings: Vorbis I specification, appendix A; RFC 7845 (Opus); https://www.speex.org/docs/manual/,
8; https://xiph.org/flac/ogg_mapping.html.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from server.hashing import errors
from server.hashing.span import Span
from server.hashing.window import Window

_PAGE = struct.Struct("<4sxB8xI8xB")  # magic, flags, serial number, segments
_FIRST_PAGE = 0x02
_MAX_PAGES = 1 << 22  # a day of live streaming with a page per packet
_SPEEX_HEADER = 80


@dataclass
class _Headers:
    """The header packets of one logical stream, while they go by."""

    left: int | None
    """Header packets yet to come; None for FLAC, whose headers last until a packet begins with a frame's sync."""

    is_inside_packet: bool = False

    def pass_by(self, table: bytes, body: memoryview) -> int | None:
        """Take one page. Returns where in its body the audio begins, or None when it holds headers only."""
        at = 0
        for lacing in table:
            if not self.is_inside_packet and self._are_over(body, at):
                return at
            at += lacing
            self.is_inside_packet = lacing == 255
            if not self.is_inside_packet and self.left is not None:
                self.left -= 1
        return at if self.left == 0 else None

    def _are_over(self, body: memoryview, at: int) -> bool:
        if self.left is not None:
            return self.left <= 0
        return at < len(body) and body[at] == 0xFF


def spans(window: Window, start: int) -> Iterator[Span]:
    """The bodies of the audio stream's pages, from its first audio packet on.

    Packets fill the bodies without gaps, so the bodies joined are the packets joined, on whatever pages they lie.
    In a multiplexed file it is the first audio stream that counts; in a chained one, that of every link.
    """
    offset = start
    serial: int | None = None
    headers: _Headers | None = None
    is_link_open = has_audio = False
    for _ in range(_MAX_PAGES):
        page = window.view(offset, 27 + 255)
        if len(page) < 27:
            break
        magic, flags, page_serial, segments = _PAGE.unpack_from(page)
        if magic != b"OggS":
            offset = window.find(b"OggS", offset + 1)
            if offset < 0:
                break
            continue
        table = page[27 : 27 + segments].tobytes()
        body, length = offset + 27 + segments, sum(table)
        offset = body + length
        if flags & _FIRST_PAGE:
            if is_link_open:
                serial, is_link_open = None, False
            if serial is None:
                headers = _headers_announced(window.read(body, _SPEEX_HEADER))
                serial = page_serial if headers else None
        else:
            is_link_open = True
        if page_serial != serial:
            continue
        if headers is None:
            yield Span(body, length)
            continue
        first = headers.pass_by(table, window.view(body, length))
        if first is not None and body + first <= window.size:
            headers, has_audio = None, True
            yield Span(body + first, length - first)
    else:
        raise errors.ContainerTooComplex("There are more pages than any recording has.")
    if not has_audio:
        raise errors.AudioTruncated if serial is not None else errors.AudioMissing


def _headers_announced(packet: bytes) -> _Headers | None:
    """The headers of the audio stream that begins with `packet`; None when it isn't audio."""
    if packet.startswith(b"\x01vorbis"):
        return _Headers(3)
    if packet.startswith(b"OpusHead"):
        return _Headers(2)
    if packet.startswith(b"Speex   ") and len(packet) == _SPEEX_HEADER:
        return _Headers(2 + int.from_bytes(packet[68:72], "little"))
    if packet.startswith((b"\x7fFLAC", b"fLaC")):
        return _Headers(None)
    return None
