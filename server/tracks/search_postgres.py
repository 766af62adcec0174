"""Search on PostgreSQL: a generated tsvector for words, pg_trgm for fragments; both keep themselves up to date."""

from __future__ import annotations

from collections.abc import Sequence

from server.db.database import Connection
from server.db.sql import Where
from server.tracks.query import Term
from server.tracks.search import TEXT_COLUMNS, SearchIndex, among_several, contains_words, has_several


class PostgresSearchIndex(SearchIndex):
    async def add(self, connection: Connection, pks: Sequence[int]) -> None:
        """The index columns are generated."""

    async def remove(self, connection: Connection, pks: Sequence[int]) -> None:
        """The index columns are generated."""

    def word_hits(self, terms: Sequence[Term], filters: Where) -> Where:
        condition = _matching(terms) & filters
        return Where(f"SELECT pk FROM tracks{condition.clause()} ORDER BY pk", condition.params)

    def fragment_hits(self, texts: Sequence[str], condition: Where) -> Where:
        for number, text in enumerate(texts):
            name = f"fragment_{number}"
            condition = condition & Where(f"fragments LIKE :{name}", {name: f"%{text}%"})
        return Where(f"SELECT pk FROM tracks{condition.clause()} ORDER BY pk", condition.params)


def _matching(terms: Sequence[Term]) -> Where:
    """The condition that all terms match as words.

    The index knows no columns, and takes words as neighbours that stand in two of them; so where it matters in which
    column words are, the columns themselves are asked, and the index only says where that is worth it.
    """
    found = " & ".join(_match(term) for term in terms if not term.is_negated)
    result = Where("words @@ CAST(CAST(:words AS text) AS tsquery)", {"words": found}) if found else Where("")
    for number, term in enumerate(terms):
        name = f"term_{number}"
        columns = TEXT_COLUMNS if term.field is None else (f"{term.field}_fold",)
        if not term.is_negated and term.field is None and all(len(words) == 1 for words in term.spellings):
            continue
        holds = contains_words(term, columns, name)
        if has_several(term):
            holds = holds | among_several(term, f"further_{number}")
        result = result & (~holds if term.is_negated else holds)
    return result


def _match(term: Term) -> str:
    """A term in tsquery's language. Folded words hold letters and digits only, so that quoting them is enough."""
    star = ":*" if term.is_prefix else ""
    spellings = [" <-> ".join(f"'{word}'" for word in words) + star for words in term.spellings]
    return f"({' | '.join(f'({spelling})' for spelling in spellings)})"
