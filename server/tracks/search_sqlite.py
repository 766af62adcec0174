"""Search on SQLite: FTS5 with a prefix index for words, FTS5 with trigrams for fragments."""

from __future__ import annotations

from collections.abc import Sequence

from server.db.database import Connection
from server.db.sql import Where
from server.tracks.query import FIELDS, Term
from server.tracks.search import (
    FRAGMENT_COLUMNS,
    FRAGMENT_LENGTH,
    SearchIndex,
    among_several,
    contains_words,
    has_several,
)

_WORDS = ", ".join(f"{name}_words" for name in (*FIELDS, "other"))
_FRAGMENTS = ", ".join(column.replace("_fold", "_words") for column in FRAGMENT_COLUMNS)
_SHORT = 9
_INDEXES = (("track_words", _WORDS), ("track_fragments", _FRAGMENTS))


class SqliteSearchIndex(SearchIndex):
    async def add(self, connection: Connection, pks: Sequence[int]) -> None:
        for table, columns in _INDEXES:
            await connection.execute(
                f"INSERT INTO {table} (rowid, {columns}) SELECT pk, {columns} FROM track_texts WHERE pk IN :pks",
                {"pks": pks},
            )

    async def remove(self, connection: Connection, pks: Sequence[int]) -> None:
        # The index keeps no text of its own, so it must be told what to take out: the text the rows still hold.
        for table, columns in _INDEXES:
            await connection.execute(
                f"INSERT INTO {table} ({table}, rowid, {columns})"
                f" SELECT 'delete', pk, {columns} FROM track_texts WHERE pk IN :pks",
                {"pks": pks},
            )

    def word_hits(self, terms: Sequence[Term], filters: Where) -> Where:
        wanted = " AND ".join(_match(term) for term in terms if not term.is_negated)
        unwanted = " OR ".join(_match(term) for term in terms if term.is_negated)
        for number, term in enumerate(terms):
            if has_several(term):
                filters = filters & _further(term, f"further_{number}")
        if not wanted:
            others = Where(
                "pk NOT IN (SELECT rowid FROM track_words WHERE track_words MATCH :words)", {"words": unwanted}
            )
            condition = others & filters
            return Where(f"SELECT pk FROM tracks{condition.clause()} ORDER BY pk", condition.params)
        text = f"({wanted}) NOT ({unwanted})" if unwanted else wanted
        return _driven_by("track_words", text, filters)

    def fragment_hits(self, texts: Sequence[str], condition: Where) -> Where:
        # The trigrams of a text may lie apart; the condition decides.
        grams = dict.fromkeys(gram for text in texts for gram in _grams(text))
        return _driven_by("track_fragments", " AND ".join(f'"{gram}"' for gram in grams), condition)


def _driven_by(table: str, text: str, filters: Where) -> Where:
    """The hits of an FTS5 table in the order of their rowids, which is how it finds them: a LIMIT stops it early."""
    params = {**filters.params, table: text}
    if not filters.sql:
        return Where(f"SELECT rowid AS pk FROM {table} WHERE {table} MATCH :{table} ORDER BY rowid", params)
    # CROSS JOIN keeps the full-text table as the one that is walked.
    return Where(
        f"SELECT tracks.pk FROM {table} AS hit CROSS JOIN tracks ON tracks.pk = hit.rowid"
        f" WHERE hit.{table} MATCH :{table} AND {filters.sql} ORDER BY hit.rowid",
        params,
    )


def _match(term: Term) -> str:
    """A term in FTS5's language. Folded words hold letters and digits only, so that quoting them is enough."""
    star = "*" if term.is_prefix else ""
    text = " OR ".join(f'"{" ".join(words)}"{star}' for words in term.spellings)
    if has_several(term) and not term.is_negated:
        return f"{{{term.field}_words other_words}} : ({text})"
    if term.field:
        return f"{term.field}_words : ({text})"
    return f"({text})" if term.parts else text


def _further(term: Term, name: str) -> Where:
    """What the index can't say of a field with further values: that a hit is one of them, or that none is."""
    further = among_several(term, name)
    return ~further if term.is_negated else contains_words(term, (f"{term.field}_fold",), f"{name}_own") | further


def _grams(text: str) -> list[str]:
    """Trigrams that cover a text: all of a short one's, since each that is looked up saves rows that are checked.

    Of a long text those side by side, which are few enough to intersect and tell it from others all the same.
    """
    last = len(text) - FRAGMENT_LENGTH
    step = 1 if last <= _SHORT else FRAGMENT_LENGTH
    return [text[start : start + FRAGMENT_LENGTH] for start in (*range(0, last, step), last)]
