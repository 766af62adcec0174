"""MPEG-1, MPEG-2 and MPEG-2.5 audio, layers I to III: `.mp3`, `.mp2`, `.mp1`.

Frame header: ISO/IEC 11172-3, 2.4.1.3. Xing/Info header: http://gabriel.mp3-tech.org/mp3infotag.html.
VBRI header: https://www.codeproject.com/Articles/8295/MPEG-Audio-Frame-Header.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from server.hashing import sync
from server.hashing.span import Span
from server.hashing.window import Window

_MPEG_1, _MPEG_2 = 3, 2  # the version bits; 0 is MPEG-2.5, 1 is reserved
_LAYER_1, _LAYER_2, _LAYER_3 = 3, 2, 1  # the layer bits
_SAMPLE_RATES = {_MPEG_1: (44100, 48000, 32000), _MPEG_2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}
_KBITS_1 = {
    _LAYER_1: (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    _LAYER_2: (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    _LAYER_3: (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
}
_KBITS_2 = {
    _LAYER_1: (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    _LAYER_2: (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    _LAYER_3: (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_SIDE_INFO = {(True, True): 17, (True, False): 32, (False, True): 9, (False, False): 17}
"""Bytes between the header of a layer III frame and its data, by MPEG-1 or not and mono or not."""

_INFO = (b"Xing", b"Info")
_MAX_INFO_FRAMES = 4  # some tools put their own in front of one that was there


def _frame_length(second: int, third: int) -> int:
    """Bytes of the frame whose header has these bytes behind the first; 0 when there is no such frame."""
    version, layer = second >> 3 & 3, second >> 1 & 3
    kbits, rate, padding = third >> 4, third >> 2 & 3, third >> 1 & 1
    if version == 1 or layer == 0 or kbits in (0, 15) or rate == 3:
        return 0
    bits = (_KBITS_1 if version == _MPEG_1 else _KBITS_2)[layer][kbits - 1] * 1000
    hertz = _SAMPLE_RATES[version][rate]
    if layer == _LAYER_1:
        return (12 * bits // hertz + padding) * 4
    samples_per_byte = 72 if layer == _LAYER_3 and version != _MPEG_1 else 144
    return samples_per_byte * bits // hertz + padding


_FRAME_LENGTHS = tuple(_frame_length(index >> 7, index & 0xFF) for index in range(0x1000))
"""By version, layer, bit rate, sample rate and padding, as `_parse` packs them."""


def _parse(header: bytes) -> sync.Frame | None:
    if len(header) < 4 or header[0] != 0xFF or header[1] < 0xE0:
        return None
    length = _FRAME_LENGTHS[(header[1] & 0x1E) << 7 | header[2]]
    return sync.Frame(length, (header[1] & 0x1E) << 8 | header[2] & 0x0C) if length else None


_THIRD_BYTES = bytes(third for third in range(256) if third >> 4 not in (0, 15) and third >> 2 & 3 != 3)

SYNTAX = sync.Syntax(
    pattern=re.compile(rb"\xff[\xe2-\xe7\xf2-\xff][" + re.escape(_THIRD_BYTES) + rb"]"), header_size=4, parse=_parse
)


def spans(window: Window, start: int) -> Iterator[Span]:
    """Everything from the first frame that isn't a Xing, Info or VBRI header to the trailing tags."""
    first, length = sync.payload(window, SYNTAX, start)
    end = first + length
    for _ in range(_MAX_INFO_FRAMES):
        header = window.read(first, 64)
        frame = _parse(header)
        if frame is None or not _is_info(header):
            break
        first += frame.length
    yield Span(first, max(0, end - first))


def _is_info(frame: bytes) -> bool:
    """Whether a frame holds the encoder's table of contents instead of audio."""
    is_mono = frame[3] >> 6 == 3
    is_mpeg_1 = frame[1] >> 3 & 3 == _MPEG_1
    at = 4 + _SIDE_INFO[is_mpeg_1, is_mono]
    # Encoders disagree on whether a checksum moves it.
    return frame[at : at + 4] in _INFO or frame[at + 2 : at + 6] in _INFO or frame[36:40] == b"VBRI"
