"""iTunes metadata items in MP4 (Apple's QuickTime file format), with the names that iTunes, Picard and DJ tools use."""

from __future__ import annotations

from server.metadata import boxes, fields, genre, rating
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
_UTF16 = 2


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


def read_items(draft: Draft, data: bytes, ilst: boxes.Box) -> None:
    """Read the items of an `ilst` box. Damaged ones are passed over."""
    for item in boxes.walk(data, ilst.start, ilst.end):
        name = item.kind.decode("latin-1")
        values = _values(data, item)
        if not values:
            continue
        value = data[values[0][1] : values[0][2]]
        if name in ("trkn", "disk"):
            if len(value) >= 4:
                add_place(draft, name, int.from_bytes(value[2:4], "big"), int.from_bytes(value[4:6], "big"))
        elif name == "covr":
            for picture_kind, picture_start, picture_end in values:
                beginning = data[picture_start : picture_start + 8]
                add_cover(draft, picture_kind, beginning, picture_end - picture_start)
        elif name == "tmpo":
            add_tempo(draft, int.from_bytes(value[:8], "big"))
        elif name == "cpil":
            draft.offer("compilation", [str(int(value[:1] == b"\1"))])
        elif name == "gnre":
            if genre_name := genre.named(int.from_bytes(value[:2], "big") - 1):
                draft.offer("genre", [genre_name])
        elif name == "----":
            _read_free_form(draft, data, item, [_text(kind, data[start:end]) for kind, start, end in values])
        elif name == "rate" or name in TEXT_ITEMS or name == "©lyr":
            add_text(draft, name, [_text(kind, data[start:end]) for kind, start, end in values])


def read_quicktime_texts(draft: Draft, data: bytes, udta: boxes.Box) -> None:
    """Texts that stand in `udta` itself: QuickTime's, with 16-bit length and language in front."""
    for box in boxes.walk(data, udta.start, udta.end):
        name = box.kind.decode("latin-1")
        length = int.from_bytes(data[box.start : box.start + 2], "big")
        if name in TEXT_ITEMS and 0 < length <= box.end - box.start - 4:
            draft.offer(TEXT_ITEMS[name], [data[box.start + 4 : box.start + 4 + length].decode(errors="replace")])


def _values(data: bytes, item: boxes.Box) -> list[tuple[int, int, int]]:
    """(type, start, end) of the item's values."""
    return [
        (int.from_bytes(data[start + 1 : start + 4], "big"), start + 8, end)
        for kind, start, end in boxes.walk(data, item.start, item.end)
        if kind == b"data" and end - start >= 8
    ]


def _text(kind: int, value: bytes) -> str:
    return value.decode("utf-16-be" if kind == _UTF16 else "utf-8", "replace")


def _read_free_form(draft: Draft, data: bytes, item: boxes.Box, values: list[str]) -> None:
    name = boxes.find(data, item, b"name")
    if name is not None:
        add_free_form(draft, data[name.start + 4 : name.end].decode(errors="replace"), values)
