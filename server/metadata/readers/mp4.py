"""MP4, M4A and QuickTime: the first audio track of a `moov` box, also when its samples are in fragments."""

from __future__ import annotations

import struct

from server.metadata import boxes
from server.metadata.boxes import Box
from server.metadata.draft import Draft
from server.metadata.errors import NoAudio, TooComplex, Truncated
from server.metadata.readers import sample_entry
from server.metadata.source import Source
from server.metadata.tagging import envelope, mp4

_MAX_MOOV = 256 << 20  # pictures included
_MAX_MOOF = 4 << 20
_UNKNOWN_DURATIONS = (0, 0xFFFFFFFF, 0xFFFFFFFF_FFFFFFFF)
_DURATION_PRESENT, _TRUN_FIELDS = 0x100, 0xF00


def read(source: Source, draft: Draft) -> None:
    """Read an MP4 file. Raises NoAudio when there is no audio track; the tags of such a file are read all the same."""
    start = envelope.read_leading(source, Draft())
    moov, fragments = _find_moov(source, start)
    whole = Box(b"moov", 0, len(moov))
    _read_tags(draft, moov, whole)
    track = _audio_track(moov, whole)
    if track is None:
        _read_movie_duration(draft, moov, whole)
        raise NoAudio("The MP4 file has no audio track.")
    timescale, length = _times(moov, boxes.find(moov, track, b"mdia", b"mdhd"))
    if timescale and length not in _UNKNOWN_DURATIONS:
        draft.duration_seconds = length / timescale
    elif fragments and timescale:
        draft.duration_seconds = _fragments_length(source, fragments, moov, whole, track) / timescale
    table = boxes.find(moov, track, b"mdia", b"minf", b"stbl")
    if table is None:
        raise Truncated("The MP4 file ends before its sample table.")
    if stsd := boxes.find(moov, table, b"stsd"):
        sample_entry.describe(draft, moov, stsd)
    if not draft.bit_rate:
        stsz = boxes.find(moov, table, b"stsz")
        draft.average_bit_rate(_samples_size(moov, stsz) if stsz else 0)


def _find_moov(source: Source, start: int) -> tuple[bytes, list[int]]:
    """The body of `moov`, and the offsets of the `moof` boxes. Raises Truncated without a `moov`."""
    moov: bytes | None = None
    fragments: list[int] = []
    for _ in range(boxes.MAX_BOXES):
        header = source.at(start, 16)
        if len(header) < 8:
            break
        size, kind = int.from_bytes(header[:4], "big"), header[4:8]
        header_size = 8
        if size == 1:
            size, header_size = int.from_bytes(header[8:16], "big"), 16
        elif size == 0:
            size = source.size - start
        if size < header_size:
            break
        if kind == b"moov" and moov is None:
            if min(size, source.size - start) > _MAX_MOOV:
                raise TooComplex("The MP4 file's movie box is larger than any recording needs.")
            moov = source.at(start + header_size, size - header_size)
        elif kind == b"moof":
            fragments.append(start)
        start += size
    if moov is None:
        raise Truncated("The MP4 file has no movie box.")
    return moov, fragments


def _audio_track(moov: bytes, whole: Box) -> Box | None:
    for box in boxes.walk(moov, whole.start, whole.end):
        if box.kind == b"trak":
            handler = boxes.find(moov, box, b"mdia", b"hdlr")
            if handler and moov[handler.start + 8 : handler.start + 12] == b"soun":
                return box
    return None


def _times(moov: bytes, header: Box | None) -> tuple[int, int]:
    """(units in a second, length in units) of an `mdhd` or `mvhd` box."""
    if header is None:
        return 0, 0
    layout, offset = (">IQ", 20) if moov[header.start : header.start + 1] == b"\1" else (">II", 12)
    if header.start + offset + struct.calcsize(layout) > header.end:
        return 0, 0
    timescale, length = struct.unpack_from(layout, moov, header.start + offset)
    return timescale, length


def _read_movie_duration(draft: Draft, moov: bytes, whole: Box) -> None:
    timescale, length = _times(moov, boxes.find(moov, whole, b"mvhd"))
    if timescale and length not in _UNKNOWN_DURATIONS:
        draft.duration_seconds = length / timescale


def _samples_size(moov: bytes, stsz: Box) -> int:
    """Bytes of all samples of the track."""
    constant, count = struct.unpack_from(">II", moov.ljust(stsz.start + 12, b"\0"), stsz.start + 4)
    if constant:
        return int(constant * count)
    count = min(count, (stsz.end - stsz.start - 12) // 4)
    return sum(struct.unpack_from(f">{count}I", moov, stsz.start + 12)) if count > 0 else 0


def _fragments_length(source: Source, fragments: list[int], moov: bytes, whole: Box, track: Box) -> int:
    """Units of the track in all movie fragments (ISO/IEC 14496-12, 8.8)."""
    header = boxes.find(moov, track, b"tkhd")
    if header is None:
        return 0
    id_at = header.start + (20 if moov[header.start : header.start + 1] == b"\1" else 12)
    track_id = moov[id_at : id_at + 4]
    default = 0
    for box in boxes.walk(moov, *_inside(boxes.find(moov, whole, b"mvex"))):
        if box.kind == b"trex" and moov[box.start + 4 : box.start + 8] == track_id:
            default = int.from_bytes(moov[box.start + 12 : box.start + 16], "big")
    length = 0
    for offset in fragments:
        moof = source.at(offset, min(_MAX_MOOF, int.from_bytes(source.at(offset, 4), "big")))
        for traf in boxes.walk(moof, 8, len(moof)):
            tfhd = boxes.find(moof, traf, b"tfhd")
            if traf.kind == b"traf" and tfhd and moof[tfhd.start + 4 : tfhd.start + 8] == track_id:
                length += _traf_length(moof, traf, tfhd, default)
    return length


def _traf_length(moof: bytes, traf: Box, tfhd: Box, default: int) -> int:
    flags = int.from_bytes(moof[tfhd.start + 1 : tfhd.start + 4], "big")
    if flags & 8:
        at = tfhd.start + 8 + (8 if flags & 1 else 0) + (4 if flags & 2 else 0)
        default = int.from_bytes(moof[at : at + 4], "big")
    length = 0
    for trun in boxes.walk(moof, traf.start, traf.end):
        if trun.kind != b"trun":
            continue
        flags = int.from_bytes(moof[trun.start + 1 : trun.start + 4], "big")
        count = int.from_bytes(moof[trun.start + 4 : trun.start + 8], "big")
        if not flags & _DURATION_PRESENT:
            length += count * default
            continue
        step = 4 * (flags & _TRUN_FIELDS).bit_count()
        at = trun.start + 8 + (4 if flags & 1 else 0) + (4 if flags & 4 else 0)
        count = min(count, (trun.end - at) // step)
        length += sum(int.from_bytes(moof[at + n * step : at + n * step + 4], "big") for n in range(count))
    return length


def _inside(box: Box | None) -> tuple[int, int]:
    return (box.start, box.end) if box else (0, 0)


def _read_tags(draft: Draft, moov: bytes, whole: Box) -> None:
    udta = boxes.find(moov, whole, b"udta")
    for parent in (udta, whole):
        meta = parent and boxes.find(moov, parent, b"meta")
        if meta:
            # A full box in MP4, a plain one in QuickTime.
            is_plain = moov[meta.start + 4 : meta.start + 8] == b"hdlr"
            inner = Box(b"meta", meta.start if is_plain else meta.start + 4, meta.end)
            if ilst := boxes.find(moov, inner, b"ilst"):
                mp4.read_items(draft, moov, ilst)
    if udta:
        mp4.read_quicktime_texts(draft, moov, udta)
