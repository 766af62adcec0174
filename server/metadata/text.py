"""Text from files, made safe to store, send and show."""

from __future__ import annotations

import re
import unicodedata

COMMENT_LIMIT = 64 * 1024  # bytes of UTF-8
TEXT_LIMIT = 4 * 1024

_SURROGATES = re.compile("[\ud800-\udfff]")
# C0 and C1 controls except tab and line feed, and the byte-order marks, interlinear and bidi controls that hide text
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ufeff\ufff9-\ufffb\u202a-\u202e\u2066-\u2069]")
_LINE_ENDS = re.compile(r"\r\n?")
_INNER_BREAKS = re.compile(r"\s*[\n\t]\s*")


def clean(text: str, limit: int = TEXT_LIMIT, *, multiline: bool = False) -> str:
    """Trimmed, without control characters or lone surrogates, at most `limit` bytes of valid UTF-8."""
    if not text.isprintable():
        text = _SURROGATES.sub("\ufffd", text)
        text = _CONTROLS.sub("", _LINE_ENDS.sub("\n", text))
        if not multiline:
            text = _INNER_BREAKS.sub(" ", text.strip())
    text = text.strip()
    return text if len(text) * 4 <= limit else _cut(text, limit)


def _cut(text: str, limit: int) -> str:
    encoded = text.encode()
    return text if len(encoded) <= limit else encoded[:limit].decode(errors="ignore").rstrip()


def values(texts: list[str], limit: int = TEXT_LIMIT) -> tuple[str, ...]:
    """The distinct, non-empty values of a multi-valued field, in order; NULs separate values."""
    if len(texts) == 1 and _is_clean(texts[0], limit):
        return (texts[0],)
    found: dict[str, None] = {}
    for text in texts:
        for part in text.split("\0"):
            if cleaned := clean(part, limit):
                found[cleaned] = None
    return tuple(found)


def first(texts: list[str], limit: int = TEXT_LIMIT, *, multiline: bool = False) -> str | None:
    """The first non-empty value."""
    if texts and _is_clean(texts[0], limit):
        return texts[0]
    for text in texts:
        for part in text.split("\0"):
            if cleaned := clean(part, limit, multiline=multiline):
                return cleaned
    return None


def _is_clean(text: str, limit: int) -> bool:
    """Whether `clean` would certainly change nothing. Nearly all text passes this, so that cleaning costs little."""
    return text.isprintable() and 0 < len(text) * 4 <= limit and text[0] != " " and text[-1] != " "


def from_file_name(name: str) -> str:
    """A file name for showing: NFC, and bytes that aren't UTF-8 read as Windows-1252, where such names come from."""
    try:
        name.encode()
    except UnicodeEncodeError:
        name = name.encode("utf-8", "surrogateescape" if _only_escapes(name) else "replace").decode("cp1252", "replace")
    return unicodedata.normalize("NFC", name)


def _only_escapes(name: str) -> bool:
    return all("\udc80" <= surrogate <= "\udcff" for surrogate in _SURROGATES.findall(name))
