"""RIFF INFO lists, in WAV and its 64-bit variants (Microsoft's RIFF MCI specification, with what taggers added)."""

from __future__ import annotations

import re

from server.metadata.draft import Draft

_FIELDS = {
    b"INAM": "title",
    b"TITL": "title",
    b"IART": "artist",
    b"IPRD": "album",
    b"IALB": "album",
    b"IAAR": "album_artist",
    b"IGNR": "genre",
    b"GENR": "genre",
    b"ICRD": "date",
    b"YEAR": "year",
    b"ITRK": "track",
    b"IPRT": "track",
    b"TRCK": "track",
    b"PRT1": "track",
    b"IFRM": "track_total",
    b"PRT2": "track_total",
    b"ICMT": "comment",
    b"COMM": "comment",
    b"ICOM": "composer",
    b"IMUS": "composer",
    b"IBPM": "bpm",
    b"IPUB": "publisher",
    b"ISRC": "isrc",
    b"ISFT": "encoder",
    b"IENC": "encoded_by",
}
_ISRC = re.compile(r"[A-Z]{2}-?[A-Z0-9]{3}-?\d{2}-?\d{5}", re.IGNORECASE)  # by the standard the chunk means "source"
MAX_CHUNKS = 4096


def fill(draft: Draft, chunks: bytes) -> None:
    """Put the list's chunks (after the word INFO) into the draft, where it has nothing yet."""
    at = 0
    for _ in range(MAX_CHUNKS):
        # The pad byte behind an odd size, if the writer wrote it, or more of them: a chunk id never begins with NUL.
        while at < len(chunks) and chunks[at] == 0:
            at += 1
        if at + 8 > len(chunks):
            return
        chunk_id = chunks[at : at + 4].upper()
        size = int.from_bytes(chunks[at + 4 : at + 8], "little")
        value = chunks[at + 8 : at + 8 + size]
        at += 8 + size
        field = _FIELDS.get(chunk_id)
        if field is None:
            continue
        text = decode(value)
        if field != "isrc" or _ISRC.fullmatch(text.strip()):
            draft.offer(field, [text])


def decode(value: bytes) -> str:
    """Text of an unnamed encoding: UTF-8 when it is valid as such, else Windows-1252."""
    value = value.split(b"\0", 1)[0]
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("cp1252", "replace")
