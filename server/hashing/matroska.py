"""Matroska and WebM. Format: RFC 9559."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from server.hashing import ebml, errors
from server.hashing.span import Span
from server.hashing.window import Window

_SEGMENT, _CLUSTER, _BLOCK_GROUP, _TRACKS = 0x18538067, 0x1F43B675, 0xA0, 0x1654AE6B
_SIMPLE_BLOCK, _BLOCK = 0xA3, 0xA1
_TRACK_ENTRY, _TRACK_NUMBER, _TRACK_TYPE = 0xAE, 0xD7, 0x83
_ENCODINGS, _ENCODING, _COMPRESSION, _ALGORITHM, _SETTINGS = 0x6D80, 0x6240, 0x5034, 0x4254, 0x4255
_PARENTS = {_SEGMENT, _CLUSTER, _BLOCK_GROUP}

_AUDIO = 2
_HEADER_STRIPPING = 3
_XIPH_LACING, _FIXED_LACING, _EBML_LACING = 1, 2, 3
_NOTHING = Span(0, 0)


@dataclass(frozen=True)
class _Track:
    number: int
    stripped: Span
    """Bytes that begin every frame, and are kept once instead of in each; empty in most files."""


def spans(window: Window, start: int) -> Iterator[Span]:
    """The frames of the first audio track, from simple blocks and block groups, in the order of the file.

    Frames joined in one block by lacing are the same as frames in blocks of their own. Parents are entered by going on
    at their body, so clusters of unknown size, as a live stream has them, need no special care.
    """
    walk = ebml.Walk(window)
    track = None
    offset = start
    while element := walk.element(offset):
        kind, offset, end = element
        if kind in _PARENTS:
            continue
        if end < 0:
            raise errors.ContainerDamaged("An element without children doesn't know its size.")
        if kind in (_SIMPLE_BLOCK, _BLOCK):
            if track is not None:
                yield from _frames(window, track, offset, min(end, window.size))
        elif kind == _TRACKS and track is None:
            track = _first_audio_track(walk, element)
        offset = end
    if track is None:
        raise errors.AudioMissing if offset <= window.size else errors.AudioTruncated


def _first_audio_track(walk: ebml.Walk, tracks: ebml.Element) -> _Track | None:
    for entry in walk.children(tracks):
        if entry.kind != _TRACK_ENTRY:
            continue
        number = kind = 0
        stripped = _NOTHING
        for field in walk.children(entry):
            if field.kind == _TRACK_NUMBER:
                number = walk.number(field)
            elif field.kind == _TRACK_TYPE:
                kind = walk.number(field)
            elif field.kind == _ENCODINGS:
                stripped = _stripped_header(walk, field)
        if kind == _AUDIO:
            return _Track(number, stripped)
    return None


def _stripped_header(walk: ebml.Walk, encodings: ebml.Element) -> Span:
    for encoding in walk.children(encodings):
        if encoding.kind != _ENCODING:
            continue
        for compression in walk.children(encoding):
            if compression.kind != _COMPRESSION:
                continue
            algorithm, settings = 0, _NOTHING
            for field in walk.children(compression):
                if field.kind == _ALGORITHM:
                    algorithm = walk.number(field)
                elif field.kind == _SETTINGS:
                    settings = Span(field.offset, field.end - field.offset)
            if algorithm == _HEADER_STRIPPING:
                return settings
    return _NOTHING


def _frames(window: Window, track: _Track, offset: int, end: int) -> Iterator[Span]:
    """The frames of the block from `offset` to `end`, when it is of this track."""
    block = window.view(offset, end - offset)
    number_size = ebml.variable_size(block[0]) if block else 0
    at = number_size + 3  # a timestamp and the flags
    if not number_size or at > len(block):
        return
    if int.from_bytes(block[:number_size], "big") & (1 << 7 * number_size) - 1 != track.number:
        return
    length = end - offset
    lacing = block[at - 1] >> 1 & 3
    sizes = [length - at]
    if lacing and at < length:
        at, sizes = _lace(block, at, lacing, length)
    if not track.stripped.length:
        yield Span(offset + at, length - at)
        return
    for size in sizes:
        yield track.stripped
        yield Span(offset + at, size)
        at += size


def _lace(block: memoryview, at: int, lacing: int, length: int) -> tuple[int, list[int]]:
    """Where in a block of `length` bytes the laced frames begin, and the bytes of each."""
    count = block[at] + 1
    at += 1
    if lacing == _FIXED_LACING:
        return at, [(length - at) // count] * count
    sizes: list[int] = []
    for _ in range(count - 1):
        if at >= len(block):
            raise errors.ContainerDamaged("A block ends inside its list of frames.")
        if lacing == _XIPH_LACING:
            size = 0
            while at < len(block) and block[at] == 255:
                size += 255
                at += 1
            size += block[at] if at < len(block) else 0
            at += 1
        else:
            value_size = ebml.variable_size(block[at])
            bits = 7 * value_size
            size = int.from_bytes(block[at : at + value_size], "big") & (1 << bits) - 1
            at += value_size
            if sizes:  # the first is a size, the others are differences with the zero in the middle
                size += sizes[-1] - ((1 << bits - 1) - 1)
        sizes.append(size)
    if at > length or min(sizes, default=0) < 0 or sum(sizes) > length - at:
        raise errors.ContainerDamaged("A block's frames are larger than the block.")
    return at, [*sizes, length - at - sum(sizes)]
