"""APEv1 and APEv2 tags (https://wiki.hydrogenaud.io/index.php?title=APEv2_specification)."""

from __future__ import annotations

from collections.abc import Iterable

from server.metadata import fields
from server.metadata.draft import FRONT_COVER, Draft
from server.metadata.source import Source

FOOTER_SIZE = 32
MAX_SIZE = 64 << 20
MAX_ITEMS = 4096

_TEXT, _BINARY = 0, 1
_LONGEST_TEXT = 1 << 20
_KIND_MASK = 3


def find(source: Source, end: int) -> bytes:
    """The items of the tag whose footer ends at `end`; empty when none does."""
    footer = source.at(end - FOOTER_SIZE, FOOTER_SIZE)
    if len(footer) < FOOTER_SIZE or not footer.startswith(b"APETAGEX"):
        return b""
    size = int.from_bytes(footer[12:16], "little") - FOOTER_SIZE
    if not 0 < size <= min(MAX_SIZE, end - FOOTER_SIZE):
        return b""
    return source.at(end - FOOTER_SIZE - size, size)


def parse(items: bytes) -> list[tuple[str, int, bytes]]:
    """[(key, kind, value), …], kind 0 text, 1 binary, 2 link. Stops where the structure breaks."""
    found: list[tuple[str, int, bytes]] = []
    at = 0
    while at + 9 < len(items) and len(found) < MAX_ITEMS:
        size = int.from_bytes(items[at : at + 4], "little")
        kind = items[at + 4] >> 1 & _KIND_MASK
        end_of_key = items.find(b"\0", at + 8, at + 8 + 256)
        if end_of_key < 0 or end_of_key + 1 + size > len(items):
            break
        key = items[at + 8 : end_of_key].decode("latin-1")
        at = end_of_key + 1 + size
        found.append((key, kind, items[end_of_key + 1 : at]))
    return found


def fill(draft: Draft, items: Iterable[tuple[str, int, bytes]]) -> None:
    """Put what the items mean into the draft, where it has nothing yet."""
    for key, kind, value in items:
        if kind == _TEXT:
            if (name := fields.of(key)) and len(value) <= _LONGEST_TEXT:
                draft.offer(name, value.decode(errors="replace").split("\0"))
        elif kind == _BINARY and key.lower().startswith("cover art"):
            picture_type = FRONT_COVER if "front" in key.lower() else 0
            file_name, _, picture = value.partition(b"\0")
            draft.add_picture(picture_type, _mime_of(picture, file_name), len(picture))


def _mime_of(picture: bytes, file_name: bytes) -> str:
    if picture.startswith(b"\x89PNG") or file_name.lower().endswith(b".png"):
        return "image/png"
    return "image/jpeg"
