"""Genre names behind the numbers of ID3 (https://id3.org/id3v2.3.0#TCON) and Winamp's extension of its list."""

from __future__ import annotations

import re

from mutagen._constants import GENRES

_AS_SPECIFIED = {40: "AlternRock"}  # which mutagen's list writes out
_REFERENCES = re.compile(r"(?:\((?:\d{1,3}|RX|CR)\))+")
_WORDS = {"RX": "Remix", "CR": "Cover"}


def named(number: int) -> str | None:
    """The genre with a number in the ID3v1 list."""
    return _AS_SPECIFIED.get(number, GENRES[number]) if 0 <= number < len(GENRES) else None


def resolve(value: str) -> list[str]:
    """The genres one ID3 text value stands for: `17`, `(17)`, `(17)Rock` and `Rock` are all Rock.

    A refinement stays next to its reference: `(4)Eurodisco` is Disco and Eurodisco. A number without a name stays
    as it was written.
    """
    if value in _WORDS:
        return [_WORDS[value]]
    if value.isdecimal():
        return [(len(value) <= 3 and named(int(value))) or value]
    references = _REFERENCES.match(value)
    if references is None:
        return [value[1:] if value.startswith("((") else value]
    rest = value[references.end() :].strip()
    genres = [_WORDS.get(reference) or named(int(reference)) for reference in references[0][1:-1].split(")(")]
    known = [genre for genre in genres if genre is not None]
    if rest:
        rest = rest[1:] if rest.startswith("((") else rest
        return known if rest in known else [*known, rest]
    return known or [value]
