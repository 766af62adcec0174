"""MP4, M4A and QuickTime: the samples of the audio track, wherever they lie. Format: ISO/IEC 14496-12."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from server.hashing import errors, fragment, sample_table
from server.hashing.atom import Atom, Walk
from server.hashing.span import Span
from server.hashing.window import Window


@dataclass(frozen=True)
class _Track:
    number: int
    """The id by which fragments name it."""

    table: Atom | None
    """Its `stbl` atom."""

    fragment_sample_size: int
    """Bytes of a sample where a fragment doesn't say."""


def spans(window: Window, start: int) -> Iterator[Span]:
    """The samples of the first audio track: those of the sample table, then those of the fragments.

    What lies between them belongs to other tracks, to chapters or to nobody. Raises AudioMissing when no track is
    audio, AudioTruncated when the file ends before the movie atom.
    """
    walk = Walk(window)
    track: _Track | None = None
    for atom in walk.siblings(start, window.size):
        if atom.kind == b"moov" and track is None:
            track = _first_audio_track(window, walk, atom)
            if track.table is not None:
                yield from sample_table.spans(window, walk, track.table)
        elif atom.kind == b"moof" and track is not None:
            yield from fragment.spans(window, walk, atom, track.number, track.fragment_sample_size)
    if track is None:
        raise errors.AudioTruncated


def _first_audio_track(window: Window, walk: Walk, movie: Atom) -> _Track:
    extends: Atom | None = None
    header: Atom | None = None
    table: Atom | None = None
    is_found = False
    for atom in walk.children(movie):
        if atom.kind == b"mvex":
            extends = atom
        elif atom.kind == b"trak" and not is_found:
            track = walk.children_by_kind(atom)
            media = walk.children_by_kind(track.get(b"mdia"))
            handler = media.get(b"hdlr")
            if handler and window.read(handler.offset + 8, 4) == b"soun":
                is_found = True
                header = track.get(b"tkhd")
                table = walk.children_by_kind(media.get(b"minf")).get(b"stbl")
    if not is_found:
        raise errors.AudioMissing
    number = _track_id(window, header)
    return _Track(number, table, _default_size(window, walk, extends, number))


def _track_id(window: Window, header: Atom | None) -> int:
    if header is None:
        return 0
    fields = window.read(header.offset, 24)
    at = 20 if fields[:1] == b"\1" else 12  # version 1 has longer times in front of it
    return int.from_bytes(fields[at : at + 4], "big")


def _default_size(window: Window, walk: Walk, extends: Atom | None, number: int) -> int:
    for defaults in walk.children(extends) if extends else ():
        fields = window.read(defaults.offset, 20)
        if defaults.kind == b"trex" and int.from_bytes(fields[4:8], "big") == number:
            return int.from_bytes(fields[16:20], "big")
    return 0
