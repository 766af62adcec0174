"""Where the samples of one MP4 track lie, by its movie fragments. Format: ISO/IEC 14496-12, 8.8."""

from __future__ import annotations

from collections.abc import Iterator

from server.hashing import sample_table
from server.hashing.atom import Atom, Walk
from server.hashing.span import Span
from server.hashing.window import Window

_HAS_BASE, _HAS_DESCRIPTION, _HAS_DURATION, _HAS_SIZE = 0x1, 0x2, 0x8, 0x10  # tfhd
_BASE_IS_FRAGMENT = 0x20000
_RUN_HAS_OFFSET, _RUN_HAS_FIRST_FLAGS = 0x1, 0x4  # trun
_SAMPLE_DURATION, _SAMPLE_SIZE, _SAMPLE_FLAGS, _SAMPLE_TIME = 0x100, 0x200, 0x400, 0x800


def spans(window: Window, walk: Walk, fragment: Atom, track: int, default_size: int) -> Iterator[Span]:
    """The runs of samples that a `moof` atom gives for the track with this id.

    `default_size`: bytes of a sample where the fragment doesn't say, from the track's `trex` atom.
    """
    previous_end = fragment.start  # without a base of its own, a track's data follows that of the track before
    for part in walk.children(fragment):
        if part.kind != b"traf":
            continue
        header = walk.children_by_kind(part).get(b"tfhd")
        if header is None:
            continue
        track_id, base, size = _read_header(window, header, fragment.start, previous_end, default_size)
        position = base
        for run in walk.children(part):
            if run.kind != b"trun":
                continue
            flags = int.from_bytes(window.read(run.offset + 1, 3), "big")
            count = int.from_bytes(window.read(run.offset + 4, 4), "big")
            table = run.offset + 8
            if flags & _RUN_HAS_OFFSET:
                position = max(0, base + int.from_bytes(window.read(table, 4), "big", signed=True))
                table += 4
            if flags & _RUN_HAS_FIRST_FLAGS:
                table += 4
            length = _run_length(window, table, run.end, flags, count) if flags & _SAMPLE_SIZE else count * size
            if track_id == track:
                yield Span(position, length)
            position += length
        previous_end = position


def _read_header(
    window: Window, header: Atom, fragment_start: int, previous_end: int, default_size: int
) -> tuple[int, int, int]:
    """Track id, base of the data offsets and default sample size of one `traf`."""
    fields = window.read(header.offset, 32)
    flags, track_id = int.from_bytes(fields[1:4], "big"), int.from_bytes(fields[4:8], "big")
    at = 8
    base = fragment_start if flags & _BASE_IS_FRAGMENT else previous_end
    if flags & _HAS_BASE:
        base = int.from_bytes(fields[at : at + 8], "big")
        at += 8
    for flag in (_HAS_DESCRIPTION, _HAS_DURATION):
        at += 4 if flags & flag else 0
    if flags & _HAS_SIZE:
        default_size = int.from_bytes(fields[at : at + 4], "big")
    return track_id, base, default_size


def _run_length(window: Window, table: int, end: int, flags: int, count: int) -> int:
    """Bytes of a run whose samples each state their size."""
    fields = [flags & flag for flag in (_SAMPLE_DURATION, _SAMPLE_SIZE, _SAMPLE_FLAGS, _SAMPLE_TIME)]
    width = sum(map(bool, fields))
    column = 1 if flags & _SAMPLE_DURATION else 0
    # A block holds a multiple of every possible row width, 1 to 4.
    rows = sample_table.blocks(window, table, end, count * width, 4)
    return sum(sum(block[column::width]) for block in rows)
