"""Streams without a container: frames that each begin with a sync word and imply their own length."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from server.hashing import errors, wrapping
from server.hashing.span import Span
from server.hashing.window import Window

SEARCH_LIMIT = 1 << 20
"""Bytes of junk accepted between the tags and the first frame."""

RUN = 3
"""Consecutive frames that make a find in the middle of other bytes certain: one in 10⁹ for random data."""

LARGEST_HEADER = 16
"""Bytes that are enough for `Syntax.parse` of any stream."""

MAX_CANDIDATES = 20_000
_BLOCK = 64 * 1024
_SMALLEST_TAG = 10


class Frame(NamedTuple):
    """What one frame header says."""

    length: int
    """Bytes of the whole frame, header included."""

    stream: int
    """The header's bits that stay the same within one stream."""


@dataclass(frozen=True)
class Syntax:
    """How the frames of one kind of elementary stream look."""

    pattern: re.Pattern[bytes]
    """Matches the start of every valid header, and little else."""

    header_size: int
    """Bytes that `parse` needs."""

    parse: Callable[[bytes], Frame | None]


def starts_run(window: Window, syntax: Syntax, offset: int, end: int, frames: int) -> bool:
    """Whether `frames` consecutive frames of one stream begin at `offset`; the last may be missing at `end`."""
    stream = None
    for number in range(frames):
        if number and offset >= end:
            return offset == end and number == frames - 1
        frame = syntax.parse(window.read(offset, syntax.header_size))
        if frame is None or stream not in (None, frame.stream):
            return False
        stream = frame.stream
        offset += frame.length
    return True


def find_run(window: Window, syntax: Syntax, start: int, end: int) -> int | None:
    """Offset of the first verified run of frames, looked for in the first `SEARCH_LIMIT` bytes after `start`.

    A frame right at `start` needs one successor; behind junk it takes a run of three.
    """
    if starts_run(window, syntax, start, end, RUN - 1):
        return start
    candidates = 0
    for at in range(start, min(end, start + SEARCH_LIMIT), _BLOCK):
        block = window.read(at, _BLOCK + syntax.header_size)
        for match in syntax.pattern.finditer(block):
            candidates += 1
            if candidates > MAX_CANDIDATES:
                return None
            if starts_run(window, syntax, at + match.start(), end, RUN):
                return at + match.start()
    return None


def payload(window: Window, syntax: Syntax, start: int) -> Span:
    """From the first frame to the trailing tags: every byte in between, junk and damaged frames included.

    `start`: offset after the leading tags. When they claim more than the file holds, the frames are looked for inside
    them, since a damaged size is likelier than a file that ends in the middle of its tags.
    """
    is_beyond = start > window.size
    if is_beyond:
        start = _SMALLEST_TAG
    end = wrapping.trailing(window, start)
    first = find_run(window, syntax, start, end)
    if first is None and not is_beyond and (start >= end or syntax.parse(window.read(start, syntax.header_size))):
        first = start
    if first is None:
        if is_beyond:
            raise errors.AudioTruncated
        raise errors.ContainerDamaged("No frames follow one another where the audio should begin.")
    return Span(first, end - first)
