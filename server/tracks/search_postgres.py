"""Search on PostgreSQL: a generated tsvector for words, pg_trgm for fragments; both keep themselves up to date."""

from __future__ import annotations

from collections.abc import Sequence

from server.db.database import Connection
from server.db.sql import Where, like_literal
from server.tracks.query import Term
from server.tracks.search import FRAGMENT_COLUMNS, FRAGMENT_LENGTH, SearchIndex, inside


class PostgresSearchIndex(SearchIndex):
    async def add(self, connection: Connection, pks: Sequence[int]) -> None:
        """The index columns are generated."""

    async def remove(self, connection: Connection, pks: Sequence[int]) -> None:
        """The index columns are generated."""

    def word_hits(self, terms: Sequence[Term], filters: Where) -> Where:
        condition = _matching(terms) & filters
        return Where(f"SELECT pk FROM tracks{condition.clause()} ORDER BY pk", condition.params)

    def fragment_hits(self, terms: Sequence[Term], filters: Where) -> Where | None:
        found = Where("")
        for number, term in enumerate(terms):
            text = " ".join(term.words)
            if not term.is_negated and len(text) >= FRAGMENT_LENGTH:
                name = f"fragment_{number}"
                found = found & Where(f"fragments LIKE :{name}", {name: f"%{like_literal(text)}%"})
        if not found.sql:
            return None
        condition = found & inside(terms, FRAGMENT_COLUMNS) & filters & ~_matching(terms)
        return Where(f"SELECT pk FROM tracks{condition.clause()} ORDER BY pk", condition.params)


def _matching(terms: Sequence[Term]) -> Where:
    """The condition that all terms match as words. Which field a word is in, the column itself is asked."""
    result = Where("")
    anywhere = [f"!{_match(term)}" if term.is_negated else _match(term) for term in terms if not term.field]
    within = [_match(term) for term in terms if term.field and not term.is_negated]
    if anywhere or within:
        result = Where("words @@ CAST(CAST(:words AS text) AS tsquery)", {"words": " & ".join([*anywhere, *within])})
    for number, term in enumerate(terms):
        if term.field is not None:
            result = result & _in_field(term, f"field_{number}")
    return result


def _match(term: Term) -> str:
    """A term in tsquery's language. Folded words hold letters and digits only, so that quoting them is enough."""
    words = [f"'{word}'" for word in term.words]
    if term.is_prefix:
        words[-1] += ":*"
    return f"({' <-> '.join(words)})"


def _in_field(term: Term, name: str) -> Where:
    pattern = f"% {like_literal(' '.join(term.words))}{'%' if term.is_prefix else ' %'}"
    condition = Where(f"(' ' || coalesce({term.field}_fold, '') || ' ') LIKE :{name}", {name: pattern})
    return ~condition if term.is_negated else condition
