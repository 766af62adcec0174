"""The SQL of `tracks` and the tables beside it. Takes a connection, knows no transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any

from server.db.database import Connection, Dialect, Params, Row, as_dict
from server.db.sql import Where
from server.tracks import probes
from server.tracks.listing import Order, Segment, segment_query, segments
from server.tracks.model import UNMARKED, Values, path_values, terms
from server.tracks.resource import refiled, regrouped, serialise
from server.tracks.search import SearchIndex, index_for

# Columns whose change changes what the search index holds.
_INDEXED = (
    "title_fold", "artist_fold", "album_fold", "album_artist_fold", "genre_fold", "label_fold", "remixer_fold",
    "comment_fold", "file_name_fold", "split_words",
)  # fmt: skip
_TERMED = ("artists", "genres", "tags")
# What a scan compares with the disk; first, in this order, what a listing says of a file. One index holds all of it.
_KNOWN = "path, file_size, file_mtime_ns, file_inode, hash_state, missing_since, pk"
_MISSING = itemgetter(5)
_TERMS_AT_ONCE = 100
_UNMARKED = Where(
    " AND ".join(
        f"new.{name} IS NULL" if value is None else f"new.{name} = :{name}" for name, value in UNMARKED.items()
    ),
    {name: value for name, value in UNMARKED.items() if value is not None},
)


class TrackStore:
    def __init__(self, dialect: Dialect):
        self.search: SearchIndex = index_for(dialect)

    # -- reading

    async def by_ids(self, connection: Connection, ids: Sequence[str], columns: Sequence[str] = ("*",)) -> list[Row]:
        return list(
            await connection.fetch_all(
                f"SELECT {', '.join(columns)} FROM tracks WHERE id IN :ids ORDER BY pk", {"ids": ids}
            )
        )

    async def by_paths(self, connection: Connection, library_directory_id: str, paths: Sequence[bytes]) -> list[Row]:
        return list(
            await connection.fetch_all(
                "SELECT * FROM tracks WHERE library_directory_id = :directory AND path IN :paths",
                {"directory": library_directory_id, "paths": list(paths)},
            )
        )

    async def resources(self, connection: Connection, ids: Sequence[str]) -> list[Row]:
        """`id, json, missing_since, library_directory_id` of tracks."""
        return list(
            await connection.fetch_all(
                """
                SELECT id, json, missing_since, library_directory_id
                FROM tracks JOIN track_resources ON track_pk = pk WHERE id IN :ids
                """,
                {"ids": ids},
            )
        )

    async def resources_by_pk(self, connection: Connection, pks: Sequence[int]) -> list[Row]:
        """The same, in the order of `pks`."""
        rows = await connection.fetch_all(
            """
            SELECT pk, id, json, missing_since, library_directory_id
            FROM tracks JOIN track_resources ON track_pk = pk WHERE pk IN :pks
            """,
            {"pks": pks},
        )
        by_pk = {row["pk"]: row for row in rows}
        return [by_pk[pk] for pk in pks if pk in by_pk]

    async def page(
        self,
        connection: Connection,
        where: Where,
        order: Order,
        after: Sequence[Any] | None,
        limit: int,
        offset: int = 0,
    ) -> list[Row]:
        """Rows of a page, gathered from one index range after the other until there are enough."""
        found: list[Row] = []
        few = await probes.candidates(connection, where)
        hint = _hint(connection.dialect, order, few is not None)
        if few is not None:
            where = where & Where("pk IN :few", {"few": few})
        for segment in segments(order, after):
            query = segment_query(where, order, segment, limit - len(found), offset, hint)
            rows = await connection.fetch_all(query.sql, query.params)
            found += rows
            if len(found) >= limit:
                break
            if offset:
                offset = 0 if rows else max(0, offset - await self._segment_count(connection, where, segment))
        return found

    async def _segment_count(self, connection: Connection, where: Where, segment: Segment) -> int:
        return await self.count(connection, where & segment.where)

    async def count(self, connection: Connection, where: Where) -> int:
        total: int = await connection.fetch_value(f"SELECT count(*) FROM tracks{where.clause()}", where.params)
        return total

    async def ids_where(self, connection: Connection, where: Where) -> list[str]:
        return await connection.fetch_values(f"SELECT id FROM tracks{where.clause()} ORDER BY pk", where.params)

    async def files(
        self,
        connection: Connection,
        library_directory_id: str,
        after: bytes,
        upto: bytes | None,
        before: bytes | None,
        limit: int,
        depth: int | None = None,
    ) -> list[Row]:
        """What the library knows of the files of a directory, in the order of their paths; for comparing with disk.

        Of several rows of one path the present one comes first. `depth`: only files that lie so many folders deep.
        """
        where = Where(
            "library_directory_id = :directory AND path > :after", {"directory": library_directory_id, "after": after}
        )
        if upto is not None:
            where = where & Where("path <= :upto", {"upto": upto})
        if before is not None:
            where = where & Where("path < :before", {"before": before})
        if depth is not None:
            slashes = "length(relative_path) - length(replace(relative_path, '/', ''))"
            where = where & Where(f"{slashes} = :depth", {"depth": depth})
        rows = list(
            await connection.fetch_all(
                f"SELECT {_KNOWN} FROM tracks{where.clause()} ORDER BY path LIMIT :limit",
                {**where.params, "limit": limit},
            )
        )
        # By position, which SQLite finds at once; a name it compares with those of all columns before it.
        if any(map(_MISSING, rows)):
            rows.sort(key=lambda row: (row["path"], row["missing_since"] is not None, row["pk"]))
        return rows

    async def by_pks(self, connection: Connection, pks: Sequence[int], columns: Sequence[str] = ("*",)) -> list[Row]:
        return list(
            await connection.fetch_all(
                f"SELECT {', '.join(columns)} FROM tracks WHERE pk IN :pks ORDER BY pk", {"pks": pks}
            )
        )

    async def like(
        self, connection: Connection, hashes: Sequence[str], inodes: Sequence[int], columns: Sequence[str] = ("*",)
    ) -> list[Row]:
        """Tracks with one of the audio hashes or one of the inodes, each once, oldest first."""
        return list(
            await connection.fetch_all(
                f"""
                SELECT {", ".join(columns)} FROM tracks WHERE pk IN (
                    SELECT pk FROM tracks WHERE audio_hash IN :hashes AND audio_hash IS NOT NULL
                    UNION SELECT pk FROM tracks WHERE file_inode IN :inodes
                ) ORDER BY pk
                """,
                {"hashes": hashes, "inodes": inodes},
            )
        )

    async def by_hashes(
        self, connection: Connection, hashes: Sequence[str], columns: Sequence[str] = ("*",)
    ) -> list[Row]:
        return list(
            await connection.fetch_all(
                f"SELECT {', '.join(columns)} FROM tracks WHERE audio_hash IN :hashes ORDER BY pk", {"hashes": hashes}
            )
        )

    async def copied_and_missing(
        self, connection: Connection, library_directory_id: str, after: int, limit: int
    ) -> list[int]:
        """Row numbers, ascending, of missing tracks whose audio a newer present one has, that nobody has marked; one of
        the two is in the directory.
        """
        # With the sign, no database walks through all tracks by their numbers instead of through the few missing ones.
        return await connection.fetch_values(
            f"""
            SELECT old.pk FROM tracks old
            WHERE old.missing_since IS NOT NULL AND +old.pk > :after AND EXISTS (
                SELECT 1 FROM tracks new
                WHERE new.audio_hash = old.audio_hash AND new.pk > old.pk AND new.missing_since IS NULL
                AND :directory IN (new.library_directory_id, old.library_directory_id) AND {_UNMARKED.sql}
            )
            ORDER BY +old.pk LIMIT :limit
            """,
            {"directory": library_directory_id, "after": after, "limit": limit, **_UNMARKED.params},
        )

    async def shared_audio(self, connection: Connection, ids: Sequence[str]) -> list[str]:
        """The audio hashes of some tracks that other tracks have, too."""
        return await connection.fetch_values(
            """
            SELECT DISTINCT own.audio_hash FROM tracks own
            WHERE own.id IN :ids AND own.audio_hash IS NOT NULL AND EXISTS (
                SELECT 1 FROM tracks other WHERE other.audio_hash = own.audio_hash AND other.pk <> own.pk
            )
            """,
            {"ids": list(ids)},
        )

    async def all_shared_audio(self, connection: Connection) -> list[str]:
        """The audio hashes that several tracks have."""
        return await connection.fetch_values(
            "SELECT audio_hash FROM tracks WHERE audio_hash IS NOT NULL GROUP BY audio_hash HAVING count(*) > 1"
        )

    async def groups_where(self, connection: Connection, where: Where) -> list[str]:
        return await connection.fetch_values(
            f"SELECT DISTINCT duplicate_group_id FROM tracks{where.clause()}", where.params
        )

    async def hash_pending(
        self, connection: Connection, library_directory_id: str, after: int, limit: int
    ) -> list[Row]:  # fmt: skip
        return list(
            await connection.fetch_all(
                """
                SELECT * FROM tracks WHERE library_directory_id = :directory AND hash_state = 'pending'
                AND missing_since IS NULL AND pk > :after ORDER BY pk LIMIT :limit
                """,
                {"directory": library_directory_id, "after": after, "limit": limit},
            )
        )

    async def missing_pks(
        self, connection: Connection, library_directory_id: str, limit: int, offset: int
    ) -> list[int]:
        return await connection.fetch_values(
            """
            SELECT pk FROM tracks WHERE library_directory_id = :directory AND missing_since IS NOT NULL
            ORDER BY missing_since, pk LIMIT :limit OFFSET :offset
            """,
            {"directory": library_directory_id, "limit": limit, "offset": offset},
        )

    async def missing_files(self, connection: Connection, library_directory_id: str, before: int) -> list[Row]:
        return list(
            await connection.fetch_all(
                """
                SELECT * FROM tracks WHERE library_directory_id = :directory AND missing_since IS NOT NULL
                AND missing_since <= :before ORDER BY pk
                """,
                {"directory": library_directory_id, "before": before},
            )
        )

    async def key_range(self, connection: Connection) -> tuple[int, int]:
        row = await connection.fetch_one(
            """
            SELECT coalesce((SELECT min(pk) FROM tracks), 0) AS first,
                coalesce((SELECT max(pk) FROM tracks), -1) AS last
            """
        )
        assert row is not None
        return row["first"], row["last"]

    async def in_directory(
        self, connection: Connection, library_directory_id: str, first: int, last: int, limit: int
    ) -> list[Row]:
        """`pk, id` of a directory's tracks, in the order of their row numbers, from one to another."""
        return list(
            await connection.fetch_all(
                """
                SELECT pk, id FROM tracks
                WHERE pk >= :first AND pk <= :last AND library_directory_id = :directory ORDER BY pk LIMIT :limit
                """,
                {"directory": library_directory_id, "first": first, "last": last, "limit": limit},
            )
        )

    # -- writing

    async def insert(self, connection: Connection, rows: Sequence[Values], resources: Sequence[bytes]) -> list[Values]:
        """Insert whole rows with their JSON; returns those that weren't there already (same directory and path)."""
        if not rows:
            return []
        numbers = await self._reserve(connection, len(rows))
        numbered = [{**row, "pk": number} for row, number in zip(rows, numbers, strict=True)]
        await connection.execute_many(_insert_sql(tuple(numbered[0])), numbered)
        pks = set(await connection.fetch_values("SELECT pk FROM tracks WHERE pk IN :pks", {"pks": numbers}))
        inserted = [(row, json) for row, json in zip(numbered, resources, strict=True) if row["pk"] in pks]
        await connection.execute_many(
            "INSERT INTO track_resources (track_pk, json) VALUES (:pk, :json)",
            [{"pk": row["pk"], "json": json} for row, json in inserted],
        )
        await self._insert_terms(connection, [row for row, _ in inserted])
        await self.search.add(connection, sorted(pks))
        return [row for row, _ in inserted]

    async def _reserve(self, connection: Connection, count: int) -> list[int]:
        """Row numbers that nobody else will use."""
        if connection.dialect is Dialect.SQLITE:
            # There is one writer, so the numbers after the highest are free until this transaction ends.
            highest: int = await connection.fetch_value("SELECT coalesce(max(pk), 0) FROM tracks")
            return list(range(highest + 1, highest + 1 + count))
        return await connection.fetch_values(
            "SELECT nextval(pg_get_serial_sequence('tracks', 'pk')) FROM generate_series(1, CAST(:count AS bigint))",
            {"count": count},
        )

    async def update(
        self, connection: Connection, changes: Sequence[tuple[Mapping[str, Any], Values]], roots: Mapping[str, bytes]
    ) -> None:
        """Write changed columns of rows. Each change is the row as it was, and the values that differ."""
        if not changes:
            return
        reindexed = [row["pk"] for row, values in changes if any(name in values for name in _INDEXED)]
        await self.search.remove(connection, reindexed) if reindexed else None
        for columns, group in _by_columns(changes).items():
            await connection.execute_many(_update_sql(columns), group)
        await self.search.add(connection, reindexed) if reindexed else None
        merged = [{**as_dict(row), **values} for row, values in changes]
        await connection.execute_many(
            "UPDATE track_resources SET json = :json WHERE track_pk = :pk",
            [{"pk": row["pk"], "json": serialise(row, roots[row["library_directory_id"]])} for row in merged],
        )
        retermed = [
            row for row, (_, values) in zip(merged, changes, strict=True) if any(name in values for name in _TERMED)
        ]
        if retermed:
            await connection.execute(
                "DELETE FROM track_terms WHERE track_pk IN :pks", {"pks": [row["pk"] for row in retermed]}
            )
            await self._insert_terms(connection, retermed)

    async def refile(
        self, connection: Connection, places: Mapping[int, tuple[str, bytes]], roots: Mapping[str, bytes], now: int
    ) -> None:
        """Row number → library directory and path of a present file that keeps its name.

        What else is in the row isn't needed for it, and costs three times as much.
        """
        await connection.execute_many(
            """
            UPDATE tracks SET library_directory_id = :directory, path = :path, relative_path = :relative_path,
                missing_since = NULL, updated_at = :now WHERE pk = :pk
            """,
            [
                {
                    "pk": pk, "directory": directory, "path": path, "now": now,
                    "relative_path": path_values(path)["relative_path"],
                }
                for pk, (directory, path) in places.items()
            ],
        )  # fmt: skip
        resources = await connection.fetch_all(
            "SELECT track_pk, json FROM track_resources WHERE track_pk IN :pks", {"pks": list(places)}
        )
        patched = []
        for pk, json in resources:
            directory, path = places[pk]
            patched.append({"pk": pk, "json": refiled(bytes(json), directory, roots[directory], path, now)})
        await connection.execute_many("UPDATE track_resources SET json = :json WHERE track_pk = :pk", patched)

    async def set_groups(self, connection: Connection, groups: Mapping[int, str | None]) -> None:
        """Row number → group of duplicates. The rest of the row isn't needed for it, and costs ten times as much."""
        await connection.execute_many(
            "UPDATE tracks SET duplicate_group_id = :group WHERE pk = :pk",
            [{"pk": pk, "group": group} for pk, group in groups.items()],
        )
        resources = await connection.fetch_all(
            "SELECT track_pk, json FROM track_resources WHERE track_pk IN :pks", {"pks": list(groups)}
        )
        await connection.execute_many(
            "UPDATE track_resources SET json = :json WHERE track_pk = :pk",
            [{"pk": pk, "json": regrouped(json, groups[pk])} for pk, json in resources],
        )

    async def _insert_terms(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        # In slices, so that folding the text of a large batch doesn't hold up whoever else has a question.
        for start in range(0, len(rows), _TERMS_AT_ONCE):
            found = [
                {"pk": row["pk"], "field": field, "term": term, "value": value}
                for row in rows[start : start + _TERMS_AT_ONCE]
                for field, term, value in terms(row)
            ]
            if found:
                await connection.execute_many(
                    "INSERT INTO track_terms (field, term, value, track_pk) VALUES (:field, :term, :value, :pk)", found
                )

    async def delete(self, connection: Connection, pks: Sequence[int]) -> None:
        await self.search.remove(connection, pks)
        # The tables beside `tracks` follow by their foreign keys.
        await connection.execute("DELETE FROM tracks WHERE pk IN :pks", {"pks": pks})


def _hint(dialect: Dialect, order: Order, has_few: bool) -> str:
    """By which index SQLite finds the rows of a page: their own numbers, or the order's first column."""
    if dialect is not Dialect.SQLITE:
        return ""
    if has_few:
        return " NOT INDEXED"
    if not order.keys:
        return ""
    first = order.keys[0].column
    return f" INDEXED BY tracks_{first}" if first in probes.WALKED else ""


def _insert_sql(columns: tuple[str, ...]) -> str:
    return (
        f"INSERT INTO tracks ({', '.join(columns)}) VALUES ({', '.join(f':{column}' for column in columns)})"
        " ON CONFLICT (library_directory_id, path) WHERE missing_since IS NULL DO NOTHING"
    )


def _update_sql(columns: tuple[str, ...]) -> str:
    return f"UPDATE tracks SET {', '.join(f'{column} = :{column}' for column in columns)} WHERE pk = :pk"


def _by_columns(changes: Sequence[tuple[Mapping[str, Any], Values]]) -> dict[tuple[str, ...], list[Params]]:
    groups: dict[tuple[str, ...], list[Params]] = {}
    for row, values in changes:
        if values:
            groups.setdefault(tuple(sorted(values)), []).append({**values, "pk": row["pk"]})
    return groups
