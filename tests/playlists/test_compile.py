"""The compiled SQL returns exactly what a plain evaluator returns, on whichever database the run uses."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from server.config import Config
from server.db.database import Connection, Database
from server.db.opening import open_database
from server.playlists import rules, store
from server.playlists.compile import Compiler
from server.playlists.fields import FIELDS, Op
from server.playlists.model import Entry, Kind
from server.playlists.rows import fresh
from server.tracks import location_store, model
from server.tracks.listing import parse_sort
from server.tracks.schemas import Track
from server.tracks.selection import matching
from server.tracks.store import TrackStore
from tests.playlists import rule_trees
from tests.playlists.evaluator import Library
from tests.playlists.library import row_of
from tests.support.application import Running

NOW = 1_700_000_000_000
UNREACHABLE = {rule_trees.DIRECTORIES[1]: ("media", NOW - 5000)}
# Nothing lacks these.
ALWAYS_THERE = {
    "play_count", "file_size", "file_name", "relative_path", "format", "metadata_source", "library_directory_id",
    "date_added", "updated_at", "file_modified",
}  # fmt: skip
EXAMPLES = 25  # libraries, each asked many random rules


class _Undo(Exception):
    """Ends a transaction without keeping anything of it."""


async def _compare(
    database: Database, tracks: Sequence[dict[str, Any]], members: Sequence[set[int]], asked: Sequence[dict[str, Any]]
) -> None:
    rows = [_row(number, given) for number, given in enumerate(tracks)]
    playlists = {
        playlist: {rule_trees.TRACKS[n] for n in chosen if n < len(rows)}
        for playlist, chosen in zip(rule_trees.PLAYLISTS, members, strict=True)
    }
    library = Library(rows, playlists, UNREACHABLE, NOW)
    try:
        async with database.write() as connection:
            await _fill(connection, rows, playlists)
            for content in asked:
                criteria = rules.parse(content)
                where = Compiler(connection.dialect, NOW).rule(criteria.rule)
                found = await matching(connection, where, parse_sort([]))
                assert sorted(match.id for match in found) == sorted(library.matching(criteria.rule)), content
            raise _Undo
    except _Undo:
        pass


def _row(number: int, given: dict[str, Any]) -> dict[str, Any]:
    encoded = {
        name: orjson.dumps(value).decode() if isinstance(value, list) else value for name, value in given.items()
    }
    path = f"{number}/{encoded.pop('path')}.mp3"
    plain = row_of(number, encoded["library_directory_id"], path=path)
    return model.complete({**plain, **encoded, "id": rule_trees.TRACKS[number]})


async def _fill(connection: Connection, rows: Sequence[dict[str, Any]], playlists: dict[str, set[str]]) -> None:
    tracks = TrackStore(connection.dialect)
    for directory in rule_trees.DIRECTORIES:
        reason, since = UNREACHABLE.get(directory, (None, None))
        await location_store.put(connection, model.Location(directory, b"/music", reason, since))
    await tracks.insert(connection, rows, [b"{}"] * len(rows))
    for playlist_id, members in playlists.items():
        await store.insert(connection, fresh(playlist_id, Kind.STATIC, "List", NOW))
        await store.insert_entries(
            connection,
            [
                Entry(
                    id=f"{playlist_id}{n}", playlist_id=playlist_id, rank=n, track_id=track_id, duration_ms=0,
                    added_at=0,
                )
                for n, track_id in enumerate(sorted(members))
            ],
        )  # fmt: skip


def _judge(config: Config, ask: Callable[[Random], list[dict[str, Any]]], examples: int) -> None:
    """Compare over random libraries. Each is made from one number, which is what hypothesis looks for and reports."""
    with asyncio.Runner() as runner:
        database = open_database(config)
        runner.run(database.open())

        @settings(max_examples=examples, deadline=None, database=None)
        @given(seed=st.integers(0, 2**32))
        def judge(seed: int) -> None:
            rng = Random(seed)
            tracks = [rule_trees.columns(rng) for _ in range(len(rule_trees.TRACKS))]
            runner.run(_compare(database, tracks, rule_trees.members(rng), ask(rng)))

        try:
            judge()
        finally:
            runner.run(database.close())


def test_compiled_rules_match_what_they_mean(config: Config) -> None:
    _judge(config, lambda rng: [{"all": [rule_trees.tree(rng)]} for _ in range(40)], EXAMPLES)


def test_every_field_takes_each_of_its_operators(config: Config) -> None:
    """Not left to chance: each pair, and its opposite."""

    def ask(rng: Random) -> list[dict[str, Any]]:
        asked = [rule_trees.condition(rng, field, op) for field, op in rule_trees.PAIRS]
        return [{form: part} for item in asked for form, part in (("all", [item]), ("not", item))]

    _judge(config, ask, 6)


def test_every_field_of_a_track_that_can_be_compared_is_asked_for() -> None:
    """Those left out: where a file lies depends on the machine, gains are no single value, cues are read with one."""
    assert set(Track().fields) - {"file_path", "replaygain", "hot_cues"} <= FIELDS.keys()
    assert {op for _, op in rule_trees.PAIRS} == set(Op)
    assert {field.name for field, _ in rule_trees.PAIRS} == FIELDS.keys()


def test_no_pair_of_field_and_operator_is_always_or_never_fulfilled() -> None:
    """A column that the random libraries leave alone, as they would a new one, would prove nothing about its pairs."""
    seen: dict[tuple[str, str], set[bool]] = {(field.name, op): set() for field, op in rule_trees.PAIRS}
    for seed in range(40):
        rng = Random(seed)
        rows = [_row(number, rule_trees.columns(rng)) for number in range(len(rule_trees.TRACKS))]
        members = [{rule_trees.TRACKS[n] for n in chosen} for chosen in rule_trees.members(rng)]
        library = Library(rows, dict(zip(rule_trees.PLAYLISTS, members, strict=True)), UNREACHABLE, NOW)
        for field, op in rule_trees.PAIRS:
            rule = rules.parse({"all": [rule_trees.condition(rng, field, op)]}).rule
            seen[field.name, op] |= {library.holds(rule, row) for row in rows}
    settled = {(name, op) for name in ALWAYS_THERE for op in (Op.IS_MISSING, Op.IS_PRESENT)}
    assert {pair for pair, outcomes in seen.items() if outcomes != {True, False}} == settled


async def test_deepest_rule_is_understood_by_the_database(mismo: Running) -> None:
    rule: dict[str, Any] = {"field": "bpm", "op": "gt", "value": 1}
    leaf = {"field": "genre", "op": "is", "value": "House"}
    for level in range(rules.MAX_DEPTH - 1):
        rule = {"not": rule} if level % 3 == 0 else {("any", "all")[level % 2]: [leaf, rule, leaf]}
    await mismo.client.post("/api/playlists/preview", {"criteria": {"all": [rule]}})
    many = {"any": [leaf] * rules.MAX_CONDITIONS}
    await mismo.client.post("/api/playlists/preview", {"criteria": many})
