"""Full-text search behind one interface: what the databases do differently is in the two modules beside this one."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from dataclasses import dataclass

from server.db.database import Connection, Dialect
from server.db.sql import Where, like_literal
from server.tracks.query import Term

# So many hits, oldest tracks first, are ranked: a letter or two match half of a library, too many to rank.
RANKED = 500
# Counting goes no further than this; beyond it the answer says "at least".
COUNTED = 10_000
EARLY = 50
# Where a word is found decides how much it counts.
WEIGHTS = (
    ("title_fold", 8), ("artist_fold", 8), ("album_fold", 3), ("album_artist_fold", 3), ("genre_fold", 2),
    ("label_fold", 2), ("remixer_fold", 2), ("comment_fold", 1), ("file_name_fold", 1),
)  # fmt: skip
FRAGMENT_COLUMNS = ("title_fold", "artist_fold", "album_fold", "file_name_fold")
FRAGMENT_LENGTH = 3


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
    def fragment_hits(self, terms: Sequence[Term], filters: Where) -> Where | None:
        """The same for terms that occur inside words, without the word hits; None when no term is long enough."""

    async def search(
        self, connection: Connection, terms: Sequence[Term], filters: Where, limit: int, offset: int
    ) -> Hits:
        """One page of the tracks that match, best first. Fragments follow where whole words don't fill the page."""
        if not terms:
            return Hits([], 0, is_total_exact=True)
        words = self.word_hits(terms, filters)
        total: int = await connection.fetch_value(
            f"SELECT count(*) FROM ({words.sql} LIMIT {COUNTED}) AS counted", words.params
        )
        pks: list[int] = []
        if offset < RANKED:
            ranked = await self._ranked(connection, words, terms, filters)
            pks = ranked[offset : offset + limit]
        if len(pks) < limit and total > RANKED:
            first = max(RANKED, offset)
            pks += await connection.fetch_values(
                f"{words.sql} LIMIT :limit OFFSET :offset",
                {**words.params, "limit": limit - len(pks), "offset": first},
            )
        if len(pks) < limit and total < COUNTED:
            more = await self._fragments(connection, terms, filters)
            pks += more[max(0, offset - total) :][: limit - len(pks)]
            total += len(more)
        return Hits(pks, min(total, COUNTED), is_total_exact=total < COUNTED)

    async def _ranked(self, connection: Connection, words: Where, terms: Sequence[Term], filters: Where) -> list[int]:
        """The best of the first hits. Titles and artists that begin with the query come in from their own indexes."""
        whole = " ".join(word for term in terms if not term.is_negated for word in term.words)
        parts = [f"SELECT pk FROM ({words.sql} LIMIT {RANKED}) AS first"]
        params = {**words.params}
        if whole and all(term.field is None and not term.is_negated for term in terms):
            params |= {"whole": whole, "whole_end": whole + "\U0010ffff"}
            for column in ("title_fold", "artist_fold"):
                begins = Where(f"{column} >= :whole AND {column} < :whole_end") & filters
                early = f"SELECT pk FROM tracks{begins.clause()} ORDER BY {column} LIMIT {EARLY}"
                parts.append(f"SELECT pk FROM ({early}) AS {column}")
        score, score_params = _score(terms, whole)
        found = await connection.fetch_values(
            f"SELECT pk FROM tracks WHERE pk IN ({' UNION '.join(parts)}) ORDER BY {score} DESC, pk",
            {**params, **score_params},
        )
        return found[:RANKED]

    async def _fragments(self, connection: Connection, terms: Sequence[Term], filters: Where) -> list[int]:
        found = self.fragment_hits(terms, filters)
        if found is None:
            return []
        return await connection.fetch_values(f"{found.sql} LIMIT {RANKED}", found.params)


def _score(terms: Sequence[Term], whole: str) -> tuple[str, dict[str, str]]:
    """An expression for how well a row matches: whole title or artist, then their beginning, then each word's place."""
    params = {"whole_text": whole, "whole_prefix": f"{like_literal(whole)}%"}
    parts = []
    for column, weight in (("title_fold", 40), ("artist_fold", 40)):
        parts.append(f"CASE WHEN {column} = :whole_text THEN {weight} ELSE 0 END")
        parts.append(f"CASE WHEN {column} LIKE :whole_prefix THEN {weight // 2} ELSE 0 END")
    for number, term in enumerate(term for term in terms if not term.is_negated):
        name = f"word_{number}"
        params[name] = f"% {like_literal(' '.join(term.words))}{'%' if term.is_prefix else ' %'}"
        for column, weight in WEIGHTS:
            parts.append(f"CASE WHEN ' ' || {column} || ' ' LIKE :{name} THEN {weight} ELSE 0 END")
    return " + ".join(parts), params


def inside(terms: Sequence[Term], columns: Sequence[str]) -> Where:
    """Each term somewhere in the columns, or (negated) nowhere: the check behind a fragment index."""
    result = Where("")
    for number, term in enumerate(terms):
        name = f"inside_{number}"
        fields = [f"{term.field}_fold"] if term.field else columns
        anywhere = " OR ".join(f"coalesce({column}, '') LIKE :{name}" for column in fields)
        condition = Where(f"({anywhere})", {name: f"%{like_literal(' '.join(term.words))}%"})
        result = result & (~condition if term.is_negated else condition)
    return result


def index_for(dialect: Dialect) -> SearchIndex:
    """The search index of a database."""
    if dialect is Dialect.SQLITE:
        from server.tracks.search_sqlite import SqliteSearchIndex

        return SqliteSearchIndex()
    from server.tracks.search_postgres import PostgresSearchIndex

    return PostgresSearchIndex()
