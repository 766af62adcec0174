"""ASF attributes, in WMA (Microsoft's ASF specification and the WM/* attribute list)."""

from __future__ import annotations

from collections.abc import Iterable

from server.metadata import fields, rating
from server.metadata.draft import Draft


def fill(draft: Draft, attributes: Iterable[tuple[str, str]]) -> None:
    """Put named text attributes into the draft. A name that occurs again is another value of its field."""
    for full_name, value in attributes:
        name = full_name.removeprefix("WM/")
        if name == "SharedUserRating":
            draft.rating = rating.from_windows(value)
        elif name == "Track":  # the predecessor of TrackNumber counts from 0
            if value.isdecimal() and len(value) < 6:
                draft.tags.setdefault("track_from_zero", [str(int(value) + 1)])
        elif field := fields.of(name):
            draft.add(field, [value])
    if from_zero := draft.tags.pop("track_from_zero", None):
        draft.offer("track", from_zero)


def add_picture(draft: Draft, value: bytes) -> None:
    """Count in a `WM/Picture`: type, size, MIME type, description, data (UTF-16 texts end with two NULs)."""
    if len(value) < 5:
        return
    size = int.from_bytes(value[1:5], "little")
    end = value.find(b"\0\0\0", 5) + 1  # the last byte of an ASCII letter in UTF-16 is NUL as well
    mime = value[5:end].decode("utf-16-le", "replace") if end else ""
    draft.add_picture(value[0], mime, size)
