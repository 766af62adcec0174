"""Vorbis comments, in Ogg and FLAC (https://www.xiph.org/vorbis/doc/v-comment.html)."""

from __future__ import annotations

import binascii
from collections.abc import Iterable
from typing import NamedTuple

from server.metadata import fields, rating
from server.metadata.draft import FRONT_COVER, Draft
from server.metadata.errors import Truncated
from server.metadata.guard import describe

MAX_COMMENTS = 10_000

_PICTURE_HEADER = 512  # base64 letters: enough for type, MIME type and the lengths after a short description


class CommentBlock(NamedTuple):
    """A parsed comment header."""

    vendor: str
    comments: list[tuple[str, str]]
    size: int
    """Bytes that its own length fields add up to."""
    is_whole: bool
    """Whether all of them were there."""


def parse(block: bytes) -> CommentBlock:
    """Parse a comment header. One that ends early gives what came before."""
    length = int.from_bytes(block[:4], "little")
    vendor = block[4 : 4 + length].decode(errors="replace")
    at = 8 + length
    count = int.from_bytes(block[4 + length : at], "little")
    comments = []
    is_whole = at <= len(block) and count <= MAX_COMMENTS
    for _ in range(min(count, MAX_COMMENTS)):
        start = at + 4
        at = start + int.from_bytes(block[at:start], "little")
        if start > len(block) or at > len(block):
            is_whole = False
            break
        name, equals, value = block[start:at].partition(b"=")
        if equals:
            comments.append((name.decode("ascii", "replace"), value.decode(errors="replace")))
    return CommentBlock(vendor, comments, at, is_whole)


def fill_block(draft: Draft, block: CommentBlock) -> None:
    """Put a parsed header into the draft, and whether it was whole."""
    fill(draft, block.vendor, block.comments)
    if not block.is_whole and draft.problem is None:
        draft.problem = describe(Truncated("The Vorbis comments are cut off."))


def fill(draft: Draft, vendor: str, comments: Iterable[tuple[str, str]]) -> None:
    """Put what the comments mean into the draft. A name that occurs again is another value of its field."""
    for name, value in comments:
        field = fields.of(name)
        if field is not None:
            draft.add(field, [value])
        elif (lower := name.lower()) == "metadata_block_picture":
            _add_block_picture(draft, value)
        elif lower == "coverart":  # the form before metadata_block_picture
            draft.add_picture(FRONT_COVER, _mime_of(value), len(value) * 3 // 4)
        elif lower.startswith("rating:") and draft.rating is None:  # Quod Libet
            draft.rating = rating.from_fraction(value)
    if vendor:
        draft.encoder = draft.encoder or vendor


def add_flac_picture(draft: Draft, header: bytes) -> int:
    """Count in a FLAC picture block (RFC 9639, 8.8) by its beginning; the picture itself isn't needed.

    Returns the bytes its length fields add up to, 0 when `header` ends before the last of them.
    """
    picture_type = int.from_bytes(header[:4], "big")
    mime_end = 8 + int.from_bytes(header[4:8], "big")
    description_end = mime_end + 4 + int.from_bytes(header[mime_end : mime_end + 4], "big")
    start = description_end + 20
    if len(header) < start:
        return 0
    size = int.from_bytes(header[start - 4 : start], "big")
    draft.add_picture(picture_type, header[8:mime_end].decode("ascii", "replace"), size)
    return start + size


def _add_block_picture(draft: Draft, encoded: str) -> None:
    for letters in (_PICTURE_HEADER, len(encoded) // 4 * 4):  # a long description pushes the lengths back
        try:
            header = binascii.a2b_base64(encoded[:letters])
        except (binascii.Error, ValueError):  # not base64: a picture nobody can show
            return
        if add_flac_picture(draft, header):
            return


def _mime_of(encoded: str) -> str:
    return "image/png" if encoded.startswith("iVBOR") else "image/jpeg"
