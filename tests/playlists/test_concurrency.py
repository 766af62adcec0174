"""Many clients at one list: positions stay dense and unique, and the events tell the same story."""

from __future__ import annotations

import asyncio
import itertools
from random import Random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from server import errors
from server.playlists import ranks, store
from tests.playlists.library import fill
from tests.playlists.test_lists import entries_of, made
from tests.support.application import Running

CLIENTS = 100


def replayed(log: list[Any], playlist_id: str) -> list[str]:
    """The entry ids of a list, from nothing but its events."""
    order: list[str] = []
    for event in log:
        if event.data.get("playlist_id") != playlist_id:
            continue
        named = event.data["entries"]
        gone = {entry["entry_id"] for entry in named}
        if event.name == "playlist:track:removed":
            assert [order[entry["position"]] for entry in named] == [entry["entry_id"] for entry in named]
        order = [entry_id for entry_id in order if entry_id not in gone]
        if event.name in ("playlist:track:added", "playlist:track:reordered"):
            for entry in sorted(named, key=lambda item: item["position"]):
                order.insert(entry["position"], entry["entry_id"])
    return order


async def test_a_hundred_clients_leave_a_list_that_its_events_tell(mismo: Running) -> None:
    tracks = await fill(mismo.app, [{} for _ in range(20)])
    playlist = await made(mismo, track_ids=tracks)
    contents = mismo.app.playlists.contents

    async def client(number: int) -> None:
        rng = Random(number)
        for _ in range(4):
            # Not by REST, where checking every answer would take longer than the storm.
            entries = await store.members(mismo.app.database.direct, playlist["id"])
            try:
                match rng.randrange(4):
                    case 0:
                        await contents.add(playlist["id"], rng.choices(tracks, k=3), rng.randrange(10))
                    case 1:
                        await contents.remove_entry(playlist["id"], rng.choice(entries)[0])
                    case 2:
                        await contents.move(playlist["id"], rng.choice(entries)[0], rng.randrange(10))
                    case _:
                        order = [track_id for _, _, track_id, _ in entries]
                        rng.shuffle(order)
                        await contents.arrange(playlist["id"], order)
            except (errors.NotFound, errors.Invalid):
                pass  # another client was first: the entry is gone, or the list holds other tracks now

    async with asyncio.TaskGroup() as group:
        for number in range(CLIENTS):
            group.create_task(client(number))
    found = await entries_of(mismo, playlist["id"])
    log = await mismo.app.log.read(0, 10_000)
    assert replayed(log, playlist["id"]) == [entry["entry_id"] for entry in found]
    plain = (await mismo.client.get(f"/api/playlists/{playlist['id']}", include_tracks=False))["data"]
    assert plain["track_count"] == len(found)


@given(st.lists(st.none() | st.integers(-50, 50), unique_by=lambda rank: object() if rank is None else rank))
def test_planned_ranks_ascend_and_spare_what_stands_in_order(present: list[int | None]) -> None:
    changed = ranks.plan(present)
    after = [changed.get(index, rank) for index, rank in enumerate(present)]
    assert None not in after
    assert all(left < right for left, right in itertools.pairwise(after))  # type: ignore[operator] # no None
    if present == sorted(rank for rank in present if rank is not None):
        assert changed == {}
