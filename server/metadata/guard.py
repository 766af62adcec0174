"""The one place where a parser's failure is turned into a finding, and the checks that keep bombs from parsers."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import ParamSpec

from server.metadata.draft import Draft
from server.metadata.errors import MetadataError, TooComplex

P = ParamSpec("P")

MAX_ID3_FRAMES = 4096
MAX_INFLATED = 16 << 20
"""Bytes that all compressed frames of one ID3 tag may grow to."""

MAX_COPIED = 256 << 20
"""mutagen copies the rest of the tag for every frame: this bounds frames x bytes."""

_LONGEST_REASON = 300
_FEW_FRAMES = 64
_UNSYNCHRONISED, _EXTENDED = 0x80, 0x40
_COMPRESSED = {3: 0x0080, 4: 0x0008}
_CHUNK = 1 << 16


def attempt(draft: Draft, step: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> bool:
    """Run one parsing step; a failure becomes the draft's `problem` (the first one stays). Says whether it succeeded.

    The broad catch is right here: on hostile files third-party parsers raise anything from IndexError to
    RecursionError, and every one of them means the same, that this part of the file can't be read. MemoryError too:
    under the worker's memory limit it comes from one oversized allocation, and unwinding has freed the rest.
    """
    try:
        step(*args, **kwargs)
    except Exception as error:
        draft.problem = draft.problem or describe(error)
        return False
    return True


def describe(error: Exception) -> str:
    """`code: reason` for a person and a program."""
    if isinstance(error, MetadataError):
        return f"{error.code}: {error.reason}"
    if isinstance(error, MemoryError):
        return "out_of_memory: Its metadata needs more memory than a reader may use."
    if isinstance(error, OSError) and error.errno is not None:
        return f"io_error: {error.strerror}"
    text = "".join(letter for letter in str(error) if letter.isprintable())[:_LONGEST_REASON]
    return f"damaged: {type(error).__name__}{': ' if text else ''}{text}"


def check_id3(tag: bytes) -> None:
    """Refuse a tag that would cost mutagen minutes or gigabytes. Raises TooComplex.

    Looks at frame headers only, and at compressed frames as far as they may grow. A tag can be written so that this
    walk and mutagen's differ: the worker's limits are what protects, this is what keeps them from being needed.
    """
    version, flags = tag[3], tag[5]
    if version == 3 and flags & _UNSYNCHRONISED:
        tag = tag.replace(b"\xff\0", b"\xff")
    header_size, sized = (6, 3) if version == 2 else (10, 4)
    frames = inflated = 0
    at = 10 + (_extended_header_size(tag) if flags & _EXTENDED and version > 2 else 0)
    while at + header_size <= len(tag) and tag[at]:
        frames += 1
        size = int.from_bytes(tag[at + sized : at + 2 * sized], "big")
        frame_flags = int.from_bytes(tag[at + 8 : at + 10], "big") if version > 2 else 0
        if version == 4 and not size & 0x80808080:
            size = (size >> 24) << 21 | (size >> 16 & 0x7F) << 14 | (size >> 8 & 0x7F) << 7 | size & 0x7F
        if frame_flags & _COMPRESSED.get(version, 0):
            inflated += _inflated_size(tag[at + header_size : at + header_size + size], MAX_INFLATED - inflated)
        at += header_size + size
        if frames > MAX_ID3_FRAMES or (frames > _FEW_FRAMES and frames * len(tag) > MAX_COPIED):
            raise TooComplex(f"The ID3 tag has more than {frames - 1} frames.")


def _extended_header_size(tag: bytes) -> int:
    """As mutagen takes it: a frame id in its place means that there is none."""
    if tag[10:14].isalnum():
        return 0
    size = int.from_bytes(tag[10:14], "big")
    return size if tag[3] == 4 else size + 4


def _inflated_size(frame: bytes, limit: int) -> int:
    """Bytes a compressed frame grows to. Its own statement of that is not believed."""
    plain = frame.replace(b"\xff\0", b"\xff")
    # With and without the stated size in front, which some writers leave out; with and without unsynchronisation.
    return max(_grown(data, limit) for data in {frame[4:], frame, plain[4:], plain})


def _grown(compressed: bytes, limit: int) -> int:
    inflater = zlib.decompressobj()
    grown = 0
    try:
        while compressed and not inflater.eof:
            grown += len(inflater.decompress(compressed, _CHUNK))
            compressed = inflater.unconsumed_tail
            if grown > limit:
                raise TooComplex("The ID3 tag has a compressed frame that grows beyond all bounds.")
    except zlib.error:
        return 0
    return grown
