"""Tags that taggers wrap around a whole file, whatever its container: ID3v1, ID3v2, APEv1/v2 and Lyrics3.

Formats: https://id3.org/id3v2.4.0-structure, https://id3.org/ID3v1, https://wiki.hydrogenaud.io/index.php?title=APEv2_specification,
https://id3.org/Lyrics3 and https://id3.org/Lyrics3v2.
"""

from __future__ import annotations

from typing import NamedTuple

from server.hashing.window import Window

MAX_TAGS = 64
"""Tags stacked at one end. Real files have up to four; a longer stack is left in the payload."""

_ID3V1_SIZE = 128
_ENHANCED_SIZE = 227  # "TAG+", in front of the ID3v1 tag
_APE_SIZE = 32  # header and footer alike
_APE_IS_HEADER = 0x20  # in the last byte of the flags
_LYRICS3V1_MAX = 5100 + len(b"LYRICSBEGIN")
_TAIL = 160  # the longest look needed to see which tag ends here
_PADDING_BLOCK = 4096
_MAX_PADDING = 1 << 20


class Head(NamedTuple):
    """What stands in front of the container."""

    end: int
    """Offset of the first byte after the leading tags; beyond the end of the file when a tag claims too much."""

    tagged: bool
    """Whether there was any tag, which makes the file an audio file of some kind."""


def leading(window: Window) -> Head:
    """Skip stacked ID3v2 and APEv2 tags, and the zero bytes that some taggers leave behind them."""
    offset = 0
    for _ in range(MAX_TAGS):
        head = window.read(offset, _APE_SIZE)
        size = _id3v2_size(head) or _ape_header_size(head)
        if not size:
            break
        offset += size
    if not offset:
        return Head(0, tagged=False)
    if window.read(offset, 1) == b"\0" and window.read(offset + 4, 4) != b"ftyp":
        offset = _skip_zeros(window, offset)
    return Head(offset, tagged=True)


def trailing(window: Window, start: int) -> int:
    """Offset where the trailing tags begin: the end of the payload of a container that doesn't state its own size.

    `start`: offset of the container; tags never reach in front of it.
    """
    end = window.size
    for _ in range(MAX_TAGS):
        reach = max(0, min(_TAIL, end - start))
        tail = window.read(end - reach, reach)
        size = 0
        # APE first: "TAG" also occurs inside "APETAGEX".
        if tail[-32:-24] == b"APETAGEX":
            size = _ape_size(window, tail[-_APE_SIZE:], end)
        elif tail[-_ID3V1_SIZE:].startswith(b"TAG") and len(tail) >= _ID3V1_SIZE:
            size = _ID3V1_SIZE
            if window.read(max(0, end - size - _ENHANCED_SIZE), 4) == b"TAG+":
                size += _ENHANCED_SIZE
        elif tail[-9:] == b"LYRICS200":
            size = _lyrics3v2_size(window, tail, end)
        elif tail[-9:] == b"LYRICSEND":
            size = _lyrics3v1_size(window, end)
        elif tail[-10:-7] == b"3DI":
            size = _id3v2_footer_size(window, tail[-10:], end)
        if not size or end - size < start:
            break
        end -= size
    return end


def _id3v2_size(head: bytes) -> int:
    """Bytes of the whole ID3v2 tag, header and footer included; 0 when `head` doesn't begin one."""
    if head[:3] != b"ID3" or len(head) < 10 or head[3] not in (2, 3, 4) or head[4] == 0xFF or max(head[6:10]) > 0x7F:
        return 0
    has_footer = head[5] & 0x10
    return (head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]) + (20 if has_footer else 10)


def _id3v2_footer_size(window: Window, footer: bytes, end: int) -> int:
    size = _id3v2_size(b"ID3" + footer[3:5] + bytes([footer[5] | 0x10]) + footer[6:])
    return size if size and window.read(end - size, 3) == b"ID3" else 0


def _ape_header_size(head: bytes) -> int:
    """Bytes of an APEv2 tag that stands in front of the audio; 0 when `head` doesn't begin one."""
    if head[:8] != b"APETAGEX" or len(head) < _APE_SIZE:
        return 0
    return int.from_bytes(head[12:16], "little") + _APE_SIZE if head[23] & _APE_IS_HEADER else 0


def _ape_size(window: Window, footer: bytes, end: int) -> int:
    """Bytes of the APE tag that ends with `footer`. Its size field counts items and footer, but not the header."""
    size = int.from_bytes(footer[12:16], "little")
    if size < _APE_SIZE or size > end:
        return 0
    # Some writers claim a header without writing one, or the reverse: look instead of trusting them.
    header = window.read(end - size - _APE_SIZE, _APE_SIZE)
    if header[:8] == b"APETAGEX" and header[23] & _APE_IS_HEADER:
        size += _APE_SIZE
    return size


def _lyrics3v2_size(window: Window, tail: bytes, end: int) -> int:
    digits = tail[-15:-9]
    if not digits.isdigit():
        return 0
    size = int(digits) + 15
    return size if window.read(end - size, 11) == b"LYRICSBEGIN" else 0


def _lyrics3v1_size(window: Window, end: int) -> int:
    length = min(_LYRICS3V1_MAX + len(b"LYRICSEND"), end)
    at = window.read(end - length, length).rfind(b"LYRICSBEGIN")
    return length - at if at >= 0 else 0


def _skip_zeros(window: Window, offset: int) -> int:
    for at in range(offset, min(offset + _MAX_PADDING, window.size), _PADDING_BLOCK):
        block = window.read(at, _PADDING_BLOCK)
        rest = block.lstrip(b"\0")
        if rest:
            return at + len(block) - len(rest)
    return offset
