"""ID3v2: what its frames mean, and their parsing by mutagen (https://id3.org/id3v2.4.0-frames)."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass, field
from typing import Any

from mutagen.id3 import ID3, Frames, Frames_2_2, TextFrame

from server.metadata import fields, genre, rating
from server.metadata.draft import Draft
from server.metadata.guard import check_id3

HEADER_SIZE = 10
ID3V1_COMMENT = "ID3v1 Comment"  # the description under which mutagen keeps an ID3v1 comment

_TEXT_FIELDS = {
    "TIT2": "title",
    "TPE1": "artist",
    "TALB": "album",
    "TPE2": "album_artist",
    "TDRL": "release_date",
    "TDOR": "original_date",
    "TRCK": "track",
    "TPOS": "disc",
    "TCOM": "composer",
    "TPE4": "remixer",
    "TPUB": "label",
    "TSRC": "isrc",
    "GRP1": "grouping",  # iTunes; before TIT1, which it uses for the work
    "TIT1": "grouping",
    "TCMP": "compilation",
    "TBPM": "bpm",
    "TKEY": "initial_key",
    "TSSE": "encoder",
    "TENC": "encoded_by",
    "TDRC": "date",
    "TORY": "original_date",
}
_TEXTS_OF_OTHER_FIELDS = ("TCON", "TYER", "TDAT", "TIME")
WANTED_TEXTS = (*_TEXT_FIELDS, *_TEXTS_OF_OTHER_FIELDS)
"""The text frames that `fill` looks at."""

_MIME_TYPES = {"PNG": "image/png", "JPG": "image/jpeg"}  # ID3v2.2 has three letters
_NESTING = ("CHAP", "CTOC")  # frames of frames, which nothing here needs
_KNOWN_FRAMES = {name: kind for name, kind in {**Frames, **Frames_2_2}.items() if name not in _NESTING}
_MASTER_CHANNEL = 1
_FOUR_DIGITS = re.compile(r"\d{4}")
# Players keep their private data in comments with these descriptions.
_PRIVATE_COMMENTS = ("itun", "songs-db_", "musicmatch_", "media jukebox", "serato")


@dataclass(slots=True)
class Id3Frames:
    """The frames that matter, by ID3v2.4 names, out of any version."""

    texts: dict[str, list[str]] = field(default_factory=dict)
    """Text frames by id, without TXXX."""
    user_texts: list[tuple[str, list[str]]] = field(default_factory=list)
    """TXXX: description and values."""
    comments: list[tuple[str, list[str]]] = field(default_factory=list)
    """COMM: description and values."""
    ratings: list[tuple[str, int]] = field(default_factory=list)
    """POPM: email and byte."""
    pictures: list[tuple[int, str, int]] = field(default_factory=list)
    """APIC: type, MIME type, size in bytes."""
    gains: list[tuple[str, float, float]] = field(default_factory=list)
    """RVA2 of the master channel: identification, decibels, peak."""
    has_lyrics: bool = False


def tag_size(header: bytes) -> int:
    """Bytes of the ID3v2 tag that begins with these ten, footer included; 0 when none does."""
    if len(header) < HEADER_SIZE or header[:3] != b"ID3" or max(header[6:10]) > 0x7F or header[3] not in (2, 3, 4):
        return 0
    size = header[6] << 21 | header[7] << 14 | header[8] << 7 | header[9]
    return size + (20 if header[5] & 0x10 else HEADER_SIZE)


def parse(tag: bytes) -> Id3Frames:
    """Parse a tag with mutagen; one that is cut off gives the frames before the cut. Raises whatever mutagen does."""
    check_id3(tag)
    missing = tag_size(tag) - len(tag)
    if missing > 0:
        tag = tag[:6] + _synchsafe(len(tag) - HEADER_SIZE) + tag[HEADER_SIZE:]
    return from_mutagen(ID3(io.BytesIO(tag), translate=False, load_v1=False, known_frames=_KNOWN_FRAMES))


def _synchsafe(number: int) -> bytes:
    return bytes(number >> shift & 0x7F for shift in (21, 14, 7, 0))


def from_mutagen(tags: ID3) -> Id3Frames:
    """Pick the frames that matter out of mutagen's. The dates of ID3v2.3 must not have been translated."""
    frames = Id3Frames()
    frame: Any
    for frame in tags.values():
        kind = frame.FrameID
        if kind == "TXXX":
            frames.user_texts.append((frame.desc, list(frame.text)))
        elif kind == "COMM":
            frames.comments.append((frame.desc, list(frame.text)))
        elif kind == "APIC":
            frames.pictures.append((int(frame.type), frame.mime, len(frame.data)))
        elif kind == "POPM":
            frames.ratings.append((frame.email, frame.rating))
        elif kind in ("USLT", "SYLT"):
            frames.has_lyrics = frames.has_lyrics or bool(frame.text)
        elif kind == "RVA2":
            if frame.channel == _MASTER_CHANNEL:
                frames.gains.append((frame.desc, frame.gain, frame.peak))
        elif isinstance(frame, TextFrame):
            frames.texts[kind] = [str(value) for value in frame]
    return frames


def fill(draft: Draft, frames: Id3Frames) -> None:
    """Put what the frames mean into the draft, where it has nothing yet."""
    texts = frames.texts
    for frame_id, name in _TEXT_FIELDS.items():
        if values := texts.get(frame_id):
            draft.offer(name, values)
    if values := texts.get("TCON"):
        draft.offer(
            "genre",
            [genre_name for value in values for part in value.split("\0") for genre_name in genre.resolve(part)],
        )
    if "TYER" in texts and "TDRC" not in texts:
        draft.offer("date", [_date_of_v23(texts)])
    for description, values in frames.user_texts:
        if field_name := fields.of(description):
            draft.offer(field_name, values)
    if frames.comments and (comment := _comment(frames.comments)):
        draft.offer("comment", comment)
    for email, byte in frames.ratings:
        if draft.rating is None:
            draft.rating = rating.from_popularimeter(email, byte)
    for picture_type, mime, size in frames.pictures:
        draft.add_picture(picture_type, _MIME_TYPES.get(mime, mime), size)
    for identification, decibels, peak in frames.gains:
        scope = "album" if identification.lower() == "album" else "track"
        draft.offer(f"replaygain_{scope}_gain", [f"{decibels:.2f}"])
        if peak:
            draft.offer(f"replaygain_{scope}_peak", [f"{peak:.6f}"])
    draft.has_lyrics = draft.has_lyrics or frames.has_lyrics


def _date_of_v23(texts: dict[str, list[str]]) -> str:
    """TYER `2004`, TDAT `0605` (day, month) and TIME `1230` as one ISO date."""
    year = next(iter(texts["TYER"]), "")
    day = next(iter(texts.get("TDAT", ())), "")
    time = next(iter(texts.get("TIME", ())), "")
    if not _FOUR_DIGITS.fullmatch(year) or not _FOUR_DIGITS.fullmatch(day):
        return year
    date = f"{year}-{day[2:]}-{day[:2]}"
    return f"{date}T{time[:2]}:{time[2:]}" if _FOUR_DIGITS.fullmatch(time) else date


def _comment(comments: list[tuple[str, list[str]]]) -> list[str] | None:
    """The comment a person wrote: one without description, or else one that isn't a player's, or else ID3v1's."""
    described: list[str] | None = None
    id3v1: list[str] | None = None
    for description, values in comments:
        if not any(values):
            continue
        if not description:
            return values
        if description == ID3V1_COMMENT:
            id3v1 = values
        elif described is None and not description.lower().startswith(_PRIVATE_COMMENTS):
            described = values
    return described or id3v1
