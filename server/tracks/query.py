"""What a person types into the search box: words, `"phrases"`, `-not`, `field:word`, and a last word half typed."""

from __future__ import annotations

import re
from dataclasses import dataclass

from server.tracks.fold import fold

FIELDS = ("title", "artist", "album", "album_artist", "genre", "label", "remixer", "comment", "file_name")
_TOKEN = re.compile(
    r"(?P<minus>(?<!\S)-)?(?:(?P<field>[A-Za-z_]+):(?=\S))?(?:\"(?P<phrase>[^\"]*)(?P<closed>\"|$)|(?P<word>[^\s\"]+))"
)
MAX_TERMS = 16


@dataclass(frozen=True, slots=True)
class Term:
    """Words that stand next to each other; a single word mostly. `field` limits them to one; `is_prefix` is the word
    that may still be typed on.
    """

    words: tuple[str, ...]
    field: str | None = None
    is_negated: bool = False
    is_prefix: bool = False


def parse_query(text: str) -> tuple[Term, ...]:
    """The terms of a query, all of which must match. Nothing typed is an error: what isn't understood is text."""
    terms: list[Term] = []
    for match in _TOKEN.finditer(text):
        field = match["field"].lower() if match["field"] else None
        content = match["phrase"] if match["phrase"] is not None else match["word"]
        if field is not None and field not in FIELDS:
            # `12:30` or `re:zero` is text; only the names of fields mean something before a colon.
            content, field = f"{match['field']}{content}", None
        is_phrase = match["phrase"] is not None
        is_last = match.end() == len(text)
        terms += _terms(content, field, is_phrase, match["minus"] is not None, is_last and not match["closed"])
    return tuple(terms[:MAX_TERMS])


def _terms(content: str, field: str | None, is_phrase: bool, is_negated: bool, may_go_on: bool) -> list[Term]:
    words = fold(content).split()
    if not words:
        return []
    # Ideographs fold to a word each; typed together, without a space, they stand together like a phrase.
    return [Term(tuple(words), field, is_negated, may_go_on and not is_phrase)]
