"""What a person types into the search box: words, `"phrases"`, `-not`, `field:word`, and a last word half typed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from server.tracks import fold

FIELDS = ("title", "artist", "album", "album_artist", "genre", "label", "remixer", "comment", "file_name")
_TOKEN = re.compile(
    r"(?P<minus>(?<!\S)-)?(?:(?P<field>[A-Za-z_]+):(?=\S))?(?:\"(?P<phrase>[^\"]*)(?P<closed>\"|$)|(?P<word>[^\s\"]+))"
)
# Bounds on what is worth looking for; what lies beyond narrows a search no further.
MAX_TERMS = 16
MAX_WORDS = 32
MAX_LETTERS = 100


@dataclass(frozen=True, slots=True)
class Term:
    """Words that stand next to each other; a single word mostly. `field` limits them to one; `is_prefix`: the last
    word may be only begun. `parts` is another spelling: `Jay-Z` is `jayz`, and may be written `jay z`.
    """

    words: tuple[str, ...]
    field: str | None = None
    is_negated: bool = False
    is_prefix: bool = False
    parts: tuple[str, ...] = ()

    @property
    def spellings(self) -> tuple[tuple[str, ...], ...]:
        return (self.words, self.parts) if self.parts else (self.words,)


@dataclass(frozen=True, slots=True)
class Symbols:
    """A word without a letter or digit in it, as it was typed: folded text holds none. `field` limits it to one."""

    text: str
    field: str | None = None


def parse_query(text: str) -> tuple[Term, ...]:
    """The terms of a query, all of which must match. Nothing typed is an error: what isn't understood is text."""
    terms = [_term(token) for token in _tokens(text)]
    return tuple([term for term in terms if term is not None][:MAX_TERMS])


def parse_symbols(text: str) -> tuple[Symbols, ...]:
    """What a query without any term asks for: `!!!` is a band."""
    # A database's text holds no NUL, and PostgreSQL doesn't take one.
    found = [(token.content.replace("\0", "").strip(), token.field) for token in _tokens(text)]
    return tuple([Symbols(content[:MAX_LETTERS], field) for content, field in found if content][:MAX_TERMS])


@dataclass(frozen=True, slots=True)
class _Token:
    content: str
    field: str | None
    is_negated: bool
    may_go_on: bool


def _tokens(text: str) -> Iterator[_Token]:
    for match in _TOKEN.finditer(text):
        field = match["field"].lower() if match["field"] else None
        content = match["phrase"] if match["phrase"] is not None else match["word"]
        if field is not None and field not in FIELDS:
            # `12:30` or `re:zero` is text; only the names of fields mean something before a colon.
            content, field = f"{match['field']}:{content}", None
        may_go_on = match.end() == len(text) and not match["closed"]
        yield _Token(content, field, match["minus"] is not None, may_go_on)


def _term(token: _Token) -> Term | None:
    # Ideographs fold to a word each; typed together, without a space, they stand together like a phrase.
    found = fold.words(token.content)
    joined = _clipped([word for word, _ in found])
    split = _clipped([part for word, parts in found for part in parts or [word]])
    if not joined[0]:
        return None
    words, was_clipped = joined
    parts = split[0] if split[0] != words else ()
    may_go_on = token.may_go_on or was_clipped or split[1]
    return Term(words, token.field, token.is_negated, may_go_on, parts)


def _clipped(words: list[str]) -> tuple[tuple[str, ...], bool]:
    """As many words and letters as are looked for; and whether that isn't all, so that the last is only a beginning."""
    kept = words[:MAX_WORDS]
    for place, word in enumerate(kept):
        if len(word) > MAX_LETTERS:
            return (*kept[:place], word[:MAX_LETTERS]), True
    return tuple(kept), len(kept) < len(words)
