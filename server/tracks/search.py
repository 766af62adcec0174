"""Full-text search behind one interface: what the databases do differently is in the two modules beside this one."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from dataclasses import dataclass

from server.db.database import Connection, Dialect
from server.db.sql import NOTHING, Where, all_of, any_of
from server.tracks.filters import EQUALS, holds_symbols
from server.tracks.query import FIELDS, Symbols, Term

# So many hits, oldest tracks first, are ranked: a letter or two match half of a library, too many to rank.
RANKED = 300
# Counting goes no further than this; beyond it the answer says "at least".
COUNTED = 5_000
# So many titles, and artists, that begin with the query are ranked too, wherever their tracks stand.
EARLY = 50
EARLY_LOOKED_AT = 200
# With fewer whole words than this, fragments are looked for; and so many of them at most.
FEW = 20
FRAGMENTS = 500
# Where a word is found decides how much it counts; elsewhere it counts nothing.
WEIGHTS = (("title_fold", 8), ("artist_fold", 8), ("album_fold", 3), ("genre_fold", 2))
RANKED_TERMS = 4
TEXT_COLUMNS = (*(f"{field}_fold" for field in FIELDS), "split_words")
FRAGMENT_COLUMNS = ("title_fold", "artist_fold", "album_fold", "file_name_fold")
FRAGMENT_LENGTH = 3
SYMBOL_COLUMNS = ("title", "artist", "album")
# Of these a track's column holds the first; the further ones are in `split_words`, and one by one in `track_terms`.
SEVERAL = ("artist", "genre")


@dataclass(frozen=True, slots=True)
class Hits:
    """`pks`, best first; `total` of all matches, exact unless `is_total_exact` says it is a lower bound."""

    pks: list[int]
    total: int
    is_total_exact: bool


class SearchIndex(abc.ABC):
    """The index over the folded text of `tracks`."""

    @abc.abstractmethod
    async def add(self, connection: Connection, pks: Sequence[int]) -> None:
        """Index rows that were just written."""

    @abc.abstractmethod
    async def remove(self, connection: Connection, pks: Sequence[int]) -> None:
        """Take rows out of the index; called while they still hold the text they were indexed with."""

    @abc.abstractmethod
    def word_hits(self, terms: Sequence[Term], filters: Where) -> Where:
        """A select of the `pk` of tracks in which all terms match as words, and that pass the filters, by `pk`."""

    @abc.abstractmethod
    def fragment_hits(self, texts: Sequence[str], condition: Where) -> Where:
        """A select of the `pk` of tracks that hold all texts somewhere, and meet the condition, by `pk`.

        The texts have `FRAGMENT_LENGTH` letters at least; more tracks than hold them may be looked at.
        """

    async def search(
        self, connection: Connection, terms: Sequence[Term], filters: Where, limit: int, offset: int
    ) -> Hits:
        """One page of the tracks that match, best first; then the rest by age, then those with fragments of words.

        There must be a term at least.
        """
        words = self.word_hits(terms, filters)
        ranked, counted = await self._ranked(connection, words, terms, filters)
        total, is_exact = min(counted, COUNTED), counted <= COUNTED
        pks = ranked[offset : offset + limit]
        if len(pks) < limit and counted > len(ranked):
            others = self.word_hits(terms, filters & Where("tracks.pk NOT IN :ranked", {"ranked": ranked}))
            pks += await connection.fetch_values(
                f"{others.sql} LIMIT :limit OFFSET :offset",
                {**others.params, "limit": limit - len(pks), "offset": max(0, offset - len(ranked))},
            )
        if counted < FEW:
            more = await self._fragments(connection, terms, ranked, filters)
            pks += more[max(0, offset - counted) :][: limit - len(pks)]
            total, is_exact = counted + len(more), len(more) < FRAGMENTS
        return Hits(pks, total, is_exact)

    async def search_symbols(
        self, connection: Connection, symbols: Sequence[Symbols], filters: Where, limit: int, offset: int
    ) -> Hits:
        """One page, by age, of the tracks that hold all of these in names that consist of such only."""
        if not symbols:
            return Hits([], 0, is_total_exact=True)
        parts = [
            any_of([holds_symbols(column, item.text, f"symbols_{number}_{column}") for column in _columns_of(item)])
            for number, item in enumerate(symbols)
        ]
        condition = all_of(parts) & filters
        pks = await connection.fetch_values(
            f"SELECT pk FROM tracks{condition.clause()} ORDER BY pk LIMIT {COUNTED + 1}", condition.params
        )
        return Hits(pks[offset : offset + limit], min(len(pks), COUNTED), is_total_exact=len(pks) <= COUNTED)

    async def _ranked(
        self, connection: Connection, words: Where, terms: Sequence[Term], filters: Where
    ) -> tuple[list[int], int]:
        """The first hits by rank, and how many there are (no more than `COUNTED + 1`), found in one pass."""
        begins = _begins(terms, filters)
        first = " UNION ".join(
            [f"SELECT pk FROM (SELECT pk FROM hits LIMIT {RANKED}) AS oldest", *(part.sql for part in begins)]
        )
        score = _score(terms)
        params = {name: value for part in (words, *begins, score) for name, value in part.params.items()}
        rows = await connection.fetch_all(
            f"WITH hits AS MATERIALIZED ({words.sql} LIMIT {COUNTED + 1})"
            f" SELECT pk, (SELECT count(*) FROM hits) AS total FROM tracks WHERE pk IN ({first})"
            f" ORDER BY {score.sql} DESC, pk",
            params,
        )
        return [row[0] for row in rows], rows[0][1] if rows else 0

    async def _fragments(
        self, connection: Connection, terms: Sequence[Term], found: Sequence[int], filters: Where
    ) -> list[int]:
        """Tracks that hold the terms inside words, without those that were found already."""
        texts = [
            text
            for term in terms
            if not term.is_negated and not term.parts and (term.field is None or _column(term) in FRAGMENT_COLUMNS)
            if len(text := " ".join(term.words)) >= FRAGMENT_LENGTH
        ]
        if not texts:
            return []
        condition = _inside(terms) & filters & Where("tracks.pk NOT IN :found", {"found": found})
        hits = self.fragment_hits(texts, condition)
        return await connection.fetch_values(f"{hits.sql} LIMIT {FRAGMENTS}", hits.params)


def _begins(terms: Sequence[Term], filters: Where) -> list[Where]:
    """Selects of tracks whose whole title, or artist, begins with the query: found in the column's own index."""
    if any(term.field is not None or term.is_negated for term in terms):
        return []
    whole = " ".join(word for term in terms for word in term.words)
    if terms[-1].is_prefix:
        ranges = [Where("{0} >= :whole AND {0} < :whole_end", {"whole": whole, "whole_end": whole + "\U0010ffff"})]
    else:
        # `!` follows the space: all that go on with another word.
        following = {"whole_space": f"{whole} ", "whole_end": f"{whole}!"}
        ranges = [
            Where("{0} = :whole", {"whole": whole}),
            Where("{0} >= :whole_space AND {0} < :whole_end", following),
        ]
    return [
        _early(Where(part.sql.format(column), part.params), column, filters)
        for column in ("title_fold", "artist_fold")
        for part in ranges
    ]


def _early(part: Where, column: str, filters: Where) -> Where:
    if not filters.sql:
        sql = f"SELECT pk FROM tracks WHERE {part.sql} ORDER BY {column} LIMIT {EARLY}"
        return Where(f"SELECT pk FROM ({sql}) AS early", part.params)
    # Bounded before it is filtered: a filter that lets little through must not be tried on a tenth of the library.
    sql = f"SELECT pk FROM tracks WHERE {part.sql} ORDER BY {column} LIMIT {EARLY_LOOKED_AT}"
    passing = Where(f"pk IN (SELECT pk FROM ({sql}) AS early)", part.params) & filters
    return Where(f"SELECT pk FROM tracks{passing.clause()}", passing.params)


def _score(terms: Sequence[Term]) -> Where:
    """An expression for how well a row matches: whole title or artist, then their beginning, then each word's place."""
    wanted = [term for term in terms if not term.is_negated]
    whole = " ".join(word for term in wanted for word in term.words)
    params = {"whole_text": whole, "whole_prefix": f"{whole}%"}
    parts = [
        f"CASE WHEN {column} = :whole_text THEN 40 WHEN {column} LIKE :whole_prefix THEN 20 ELSE 0 END"
        for column in ("title_fold", "artist_fold")
    ]
    for number, term in enumerate(wanted[:RANKED_TERMS]):
        for column, weight in WEIGHTS:
            condition = contains_words(term, (column,), f"word_{number}")
            parts.append(f"CASE WHEN {condition.sql} THEN {weight} ELSE 0 END")
            params.update(condition.params)
    return Where(" + ".join(parts), params)


def contains_words(term: Term, columns: Sequence[str], name: str) -> Where:
    """Whether one of the columns holds the words of a term, next to each other, in one of its spellings."""
    conditions = []
    for number, words in enumerate(term.spellings):
        # Folded text holds letters and digits only, so there is nothing in it to be escaped.
        parameter = f"{name}_{number}"
        pattern = f"% {' '.join(words)}{'%' if term.is_prefix else ' %'}"
        end = "" if term.is_prefix else " || ' '"
        conditions += [Where(f"' ' || {column}{end} LIKE :{parameter}", {parameter: pattern}) for column in columns]
    return any_of(conditions)


def _columns_of(symbols: Symbols) -> Sequence[str]:
    if symbols.field is None:
        return SYMBOL_COLUMNS
    return (symbols.field,) if symbols.field in EQUALS else ()


def has_several(term: Term) -> bool:
    """Whether a track may have more values of the term's field than its column holds."""
    return term.field in SEVERAL


def among_several(term: Term, name: str) -> Where:
    """Whether one of a track's further artists or genres holds the words of a term that is limited to that field."""
    holds = contains_words(term, ("m.term",), name)
    return Where(
        f"EXISTS (SELECT 1 FROM track_terms m WHERE m.track_pk = tracks.pk AND m.field = '{term.field}'"
        f" AND {holds.sql})",
        holds.params,
    )


def _inside(terms: Sequence[Term]) -> Where:
    """Each term somewhere in the text, or (negated) nowhere: the check behind a fragment index."""
    result = Where("")
    for number, term in enumerate(terms):
        columns: Sequence[str] = (_column(term),)
        if term.field is None:
            # What is unwanted is so wherever it stands, also where no fragments are looked for.
            columns = TEXT_COLUMNS if term.is_negated else FRAGMENT_COLUMNS
        condition = among_several(term, f"inside_{number}") if has_several(term) and term.is_negated else NOTHING
        for spelling, words in enumerate(term.spellings):
            name = f"inside_{number}_{spelling}"
            for column in columns:
                condition = condition | Where(f"{column} LIKE :{name}", {name: f"%{' '.join(words)}%"})
        result = result & (~condition if term.is_negated else condition)
    return result


def _column(term: Term) -> str:
    return f"{term.field}_fold"


def index_for(dialect: Dialect) -> SearchIndex:
    """The search index of a database."""
    if dialect is Dialect.SQLITE:
        from server.tracks.search_sqlite import SqliteSearchIndex

        return SqliteSearchIndex()
    from server.tracks.search_postgres import PostgresSearchIndex

    return PostgresSearchIndex()
