"""iTunes metadata items in MP4 (Apple's QuickTime file format), with the names that iTunes, Picard and DJ tools use."""

from __future__ import annotations

from server.metadata import fields, rating
from server.metadata.draft import Draft

TEXT_ITEMS = {
    "©nam": "title",
    "©ART": "artist",
    "©alb": "album",
    "aART": "album_artist",
    "©gen": "genre",
    "©day": "date",
    "©cmt": "comment",
    "desc": "description",
    "©wrt": "composer",
    "©com": "composer",
    "©grp": "grouping",
    "©too": "encoder",
    "©enc": "encoded_by",
    "©pub": "publisher",
    "©lab": "label",
    "©isr": "isrc",
}
_COVER_TYPES = {13: "image/jpeg", 14: "image/png", 27: "image/bmp", 12: "image/gif"}
_FRONT = 3


def add_text(draft: Draft, item: str, values: list[str]) -> None:
    """A text item, by its four letters."""
    if name := TEXT_ITEMS.get(item):
        draft.offer(name, values)
    elif item == "©lyr":
        draft.has_lyrics = draft.has_lyrics or any(values)
    elif item == "rate" and values and draft.rating is None:
        draft.rating = rating.from_percent(values[0])


def add_place(draft: Draft, item: str, number: int, total: int) -> None:
    """`trkn` or `disk`."""
    draft.offer("track" if item == "trkn" else "disc", [f"{number}/{total}"])


def add_tempo(draft: Draft, beats_per_minute: int) -> None:
    """`tmpo`: whole beats per minute, 0 when unknown."""
    if beats_per_minute:
        draft.offer("bpm", [str(beats_per_minute)])


def add_free_form(draft: Draft, name: str, values: list[str]) -> None:
    """A `----` item: any name a tagger made up."""
    if field := fields.of(name):
        draft.offer(field, values)


def add_cover(draft: Draft, data_type: int, beginning: bytes, size: int) -> None:
    """A picture of `covr`. Its stated type is often wrong, so the picture's first bytes decide."""
    if beginning.startswith(b"\x89PNG"):
        mime = "image/png"
    elif beginning.startswith(b"\xff\xd8"):
        mime = "image/jpeg"
    else:
        mime = _COVER_TYPES.get(data_type, "image/jpeg")
    draft.add_picture(_FRONT, mime, size)
