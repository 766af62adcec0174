"""Matroska and WebM (RFC 9559): the first audio track, and the tags that are about it."""

from __future__ import annotations

from server.metadata import fields
from server.metadata.draft import FRONT_COVER, Draft
from server.metadata.errors import Damaged
from server.metadata.readers import ebml
from server.metadata.readers.ebml import Element
from server.metadata.source import Source

_SEGMENT, _SEEK_HEAD, _INFO, _TRACKS, _TAGS = 0x18538067, 0x114D9B74, 0x1549A966, 0x1654AE6B, 0x1254C367
_ATTACHMENTS, _CLUSTER = 0x1941A469, 0x1F43B675
_SEEK, _SEEK_ID, _SEEK_POSITION = 0x4DBB, 0x53AB, 0x53AC
_TIMESTAMP_SCALE, _DURATION, _TITLE, _WRITING_APP = 0x2AD7B1, 0x4489, 0x7BA9, 0x5741
_TRACK_ENTRY, _TRACK_TYPE, _CODEC_ID, _AUDIO = 0xAE, 0x83, 0x86, 0xE1
_SAMPLING_FREQUENCY, _OUTPUT_FREQUENCY, _CHANNELS, _BIT_DEPTH = 0xB5, 0x78B5, 0x9F, 0x6264
_TAG, _TARGETS, _TARGET_LEVEL, _SIMPLE_TAG, _TAG_NAME, _TAG_STRING = 0x7373, 0x63C0, 0x68CA, 0x67C8, 0x45A3, 0x4487
_TAG_TRACK_UID, _TRACK_UID = 0x63C5, 0x73C5
_ATTACHED_FILE, _FILE_NAME, _FILE_TYPE, _FILE_DATA = 0x61A7, 0x466E, 0x4660, 0x465C

_AUDIO_TRACK = 2
_ALBUM_LEVEL, _TRACK_LEVEL = 50, 30
_DEFAULT_SCALE = 1_000_000  # nanoseconds
_CODECS = {
    "A_VORBIS": "vorbis",
    "A_OPUS": "opus",
    "A_FLAC": "flac",
    "A_MPEG/L3": "mp3",
    "A_MPEG/L2": "mp2",
    "A_MPEG/L1": "mp1",
    "A_AC3": "ac3",
    "A_EAC3": "eac3",
    "A_DTS": "dts",
    "A_ALAC": "alac",
    "A_PCM/INT/LIT": "pcm",
    "A_PCM/INT/BIG": "pcm",
    "A_PCM/FLOAT/IEEE": "pcm_float",
    "A_TTA1": "tta",
    "A_WAVPACK4": "wavpack",
    "A_TRUEHD": "truehd",
}
_LOSSLESS = ("flac", "alac", "pcm", "pcm_float", "tta", "wavpack", "truehd")
# At the level of an album these mean the album; without a level, as ffmpeg writes them, the track.
_ALBUM_NAMES = {"title": "album", "artist": "album_artist", "track_total": "track_total"}


def read(source: Source, draft: Draft) -> None:
    """Read a Matroska file: what stands before the first cluster, and behind it what the seek head points to."""
    segment = next((element for element in ebml.walk(source, 0, source.size) if element.id == _SEGMENT), None)
    if segment is None:
        raise Damaged("The Matroska file has no segment.")
    found: dict[int, Element] = {}
    for element in ebml.walk(source, segment.start, segment.end):
        if element.id == _CLUSTER and (_TAGS in found or _SEEK_HEAD in found):
            break
        if element.id == _SEEK_HEAD:
            _follow(source, segment, element, found)
        found.setdefault(element.id, element)
    if _INFO in found:
        _read_info(source, draft, found[_INFO])
    if _TRACKS in found:
        _read_tracks(source, draft, found[_TRACKS])
    if _TAGS in found:
        _read_tags(source, draft, found[_TAGS])
    if _ATTACHMENTS in found:
        _read_attachments(source, draft, found[_ATTACHMENTS])
    if title := draft.tags.pop("segment_title", None):
        draft.offer("title", title)
    draft.average_bit_rate(source.size)


def _follow(source: Source, segment: Element, seek_head: Element, found: dict[int, Element]) -> None:
    for seek in ebml.walk(source, seek_head.start, seek_head.end):
        parts = {part.id: part for part in ebml.walk(source, seek.start, seek.end)} if seek.id == _SEEK else {}
        if _SEEK_ID not in parts or _SEEK_POSITION not in parts:
            continue
        wanted = ebml.unsigned(source, parts[_SEEK_ID])
        offset = segment.start + ebml.unsigned(source, parts[_SEEK_POSITION])
        target = next(ebml.walk(source, offset, segment.end), None)
        if target is not None and target.id == wanted:
            found.setdefault(wanted, target)


def _read_info(source: Source, draft: Draft, info: Element) -> None:
    scale, duration = _DEFAULT_SCALE, 0.0
    for element in ebml.walk(source, info.start, info.end):
        if element.id == _TIMESTAMP_SCALE:
            scale = ebml.unsigned(source, element)
        elif element.id == _DURATION:
            duration = ebml.floating(source, element)
        elif element.id == _TITLE:
            draft.offer("segment_title", [ebml.text(source, element)])
        elif element.id == _WRITING_APP:
            draft.encoder = ebml.text(source, element)
    if duration:
        draft.duration_seconds = duration * scale / 1e9


def _read_tracks(source: Source, draft: Draft, tracks: Element) -> None:
    for entry in ebml.walk(source, tracks.start, tracks.end):
        parts = {part.id: part for part in ebml.walk(source, entry.start, entry.end)}
        if entry.id != _TRACK_ENTRY or _TRACK_TYPE not in parts:
            continue
        if ebml.unsigned(source, parts[_TRACK_TYPE]) == _AUDIO_TRACK:
            codec_id = ebml.text(source, parts[_CODEC_ID]) if _CODEC_ID in parts else ""
            draft.codec = _codec(codec_id)
            draft.sample_rate, draft.channels = 8000, 1  # RFC 9559's defaults
            if _AUDIO in parts:
                _read_audio(source, draft, parts[_AUDIO])
            return


def _codec(codec_id: str) -> str | None:
    if codec_id.startswith("A_AAC"):
        return "aac"
    return _CODECS.get(codec_id, codec_id.removeprefix("A_").lower() or None)


def _read_audio(source: Source, draft: Draft, audio: Element) -> None:
    for element in ebml.walk(source, audio.start, audio.end):
        if element.id in (_SAMPLING_FREQUENCY, _OUTPUT_FREQUENCY):
            rate = ebml.floating(source, element)
            draft.sample_rate = int(rate) if 0 < rate < 1e9 else None
        elif element.id == _CHANNELS:
            draft.channels = ebml.unsigned(source, element)
        elif element.id == _BIT_DEPTH and draft.codec in _LOSSLESS:
            draft.bit_depth = ebml.unsigned(source, element)


def _read_tags(source: Source, draft: Draft, tags: Element) -> None:
    of_album = Draft()
    for tag in ebml.walk(source, tags.start, tags.end):
        if tag.id != _TAG:
            continue
        level: int | None = None
        for element in ebml.walk(source, tag.start, tag.end):
            if element.id == _TARGETS:
                level = _level(source, element)
            elif element.id == _SIMPLE_TAG:
                _read_simple_tag(source, draft, of_album, element, level)
    draft.fill_from(of_album)


def _level(source: Source, targets: Element) -> int | None:
    """The target's level, or None when the tag is about everything in the file."""
    for element in ebml.walk(source, targets.start, targets.end):
        if element.id == _TARGET_LEVEL:
            return ebml.unsigned(source, element)
        if element.id == _TAG_TRACK_UID:
            return _TRACK_LEVEL
    return None


def _read_simple_tag(source: Source, draft: Draft, of_album: Draft, element: Element, level: int | None) -> None:
    parts = {part.id: part for part in ebml.walk(source, element.start, element.end)}
    if _TAG_NAME not in parts or _TAG_STRING not in parts:
        return
    field = fields.of(ebml.text(source, parts[_TAG_NAME], 256))
    if field is None:
        return
    value = ebml.text(source, parts[_TAG_STRING])
    if level is None or level <= _TRACK_LEVEL:
        draft.add(field, [value])
    elif level == _ALBUM_LEVEL:
        of_album.offer(_ALBUM_NAMES.get(field, field), [value])


def _read_attachments(source: Source, draft: Draft, attachments: Element) -> None:
    for attached in ebml.walk(source, attachments.start, attachments.end):
        parts = {part.id: part for part in ebml.walk(source, attached.start, attached.end)}
        if attached.id != _ATTACHED_FILE or _FILE_DATA not in parts or _FILE_TYPE not in parts:
            continue
        mime = ebml.text(source, parts[_FILE_TYPE], 256)
        name = ebml.text(source, parts[_FILE_NAME], 1024).lower() if _FILE_NAME in parts else ""
        if mime.startswith("image/"):
            picture_type = FRONT_COVER if name.startswith("cover") else 0
            draft.add_picture(picture_type, mime, parts[_FILE_DATA].end - parts[_FILE_DATA].start)
