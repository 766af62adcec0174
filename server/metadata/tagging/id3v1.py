"""ID3v1 and v1.1: the last 128 bytes of a file (https://id3.org/ID3v1)."""

from __future__ import annotations

from server.metadata import genre
from server.metadata.draft import Draft

SIZE = 128

_NO_GENRE = 255


def fill(draft: Draft, tag: bytes) -> bool:
    """Put into the draft what it doesn't have yet. False when these bytes are no ID3v1 tag."""
    if len(tag) != SIZE or not tag.startswith(b"TAG"):
        return False
    for name, start, length in (("title", 3, 30), ("artist", 33, 30), ("album", 63, 30), ("date", 93, 4)):
        if value := _text(tag[start : start + length]):
            draft.offer(name, [value])
    comment = tag[97:127]
    if comment[28] == 0 and comment[29]:  # ID3v1.1
        draft.offer("track", [str(comment[29])])
        comment = comment[:28]
    if value := _text(comment):
        draft.offer("comment", [value])
    number = tag[127]
    if number != _NO_GENRE and (genre_name := genre.named(number)):
        draft.offer("genre", [genre_name])
    return True


def _text(padded: bytes) -> str:
    return padded.split(b"\0", 1)[0].strip().decode("latin-1")
