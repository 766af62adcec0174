"""Many clients at one list: positions stay dense and unique, and the events tell the same story."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from random import Random
from typing import Any

import aiohttp
from hypothesis import given
from hypothesis import strategies as st

from server import errors
from server.playlists import ranks, store
from tests.playlists.library import fill
from tests.playlists.test_lists import entries_of, made
from tests.support.application import Running

CLIENTS = 100


def replayed(
    events: Iterable[tuple[str, Mapping[str, Any]]], playlist_id: str, before: Sequence[str] = ()
) -> list[str]:
    """The entry ids of a list, from the names and data of its events and what it held before them."""
    order = list(before)
    for name, data in events:
        if data.get("playlist_id") != playlist_id:
            continue
        named = data["entries"]
        gone = {entry["entry_id"] for entry in named}
        if name == "playlist:track:removed":
            assert [order[entry["position"]] for entry in named] == [entry["entry_id"] for entry in named]
        order = [entry_id for entry_id in order if entry_id not in gone]
        if name in ("playlist:track:added", "playlist:track:reordered"):
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
    log = [(event.name, event.data) for event in await mismo.app.log.read(0, 10_000)]
    assert replayed(log, playlist["id"]) == [entry["entry_id"] for entry in found]
    plain = (await mismo.client.get(f"/api/playlists/{playlist['id']}", include_tracks=False))["data"]
    assert plain["track_count"] == len(found)


async def test_a_hundred_connections_edit_a_list_and_a_socket_ends_with_what_get_answers(mismo: Running) -> None:
    tracks = await fill(mismo.app, [{} for _ in range(20)])
    playlist = await made(mismo, track_ids=tracks)
    path = f"{mismo.url}/api/playlists/{playlist['id']}"
    statuses: Counter[tuple[str, int]] = Counter()
    glimpses: list[tuple[int, list[str]]] = []

    async def client(number: int, session: aiohttp.ClientSession) -> None:
        rng = Random(number)
        for _ in range(4):
            # Not by the client that checks every answer, which would take longer than the storm.
            async with session.get(path) as answer:
                entries = (await answer.json())["data"]["entries"]
                seq = int(answer.headers["X-Mismo-Seq"])
            assert [entry["position"] for entry in entries] == list(range(len(entries)))
            glimpses.append((seq, [entry["entry_id"] for entry in entries]))
            method, where, body = _edit(rng, entries, tracks)
            async with session.request(method, f"{path}/{where}", json=body) as answer:
                statuses[method, answer.status] += 1

    async with mismo.socket("*", since=0) as socket:
        async with asyncio.TaskGroup() as group, aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as all_:
            await asyncio.gather(*(group.create_task(client(number, all_)) for number in range(CLIENTS)))
        # Another client was first: the entry is gone (404), or the list holds other tracks now (422).
        done = {("POST", 201), ("PUT", 200), ("DELETE", 200)}
        assert done <= set(statuses) <= done | {("PUT", 404), ("PUT", 422), ("DELETE", 404)}
        answer = await mismo.client.request("GET", f"/api/playlists/{playlist['id']}")
        found = [entry["entry_id"] for entry in answer.json["data"]["entries"]]
        told = await socket.up_to(int(answer.headers["x-mismo-seq"]))
    assert replayed([(event["event"], event["data"]) for event in told], playlist["id"]) == found
    for seq, before in glimpses:
        later = [(event["event"], event["data"]) for event in told if event["seq"] > seq]
        assert replayed(later, playlist["id"], before) == found


def _edit(rng: Random, entries: list[dict[str, Any]], tracks: list[str]) -> tuple[str, str, dict[str, Any] | None]:
    """A change that fits the list as it was just read: method, path below the list, body."""
    match rng.randrange(4):
        case 0:
            position = rng.randint(0, min(10, len(entries)))
            return "POST", "tracks", {"track_ids": rng.choices(tracks, k=3), "position": position}
        case 1:
            return "DELETE", f"entries/{rng.choice(entries)['entry_id']}", None
        case 2:
            body = {"entry_id": rng.choice(entries)["entry_id"], "position": rng.randrange(len(entries))}
            return "PUT", "tracks/reorder", body
        case _:
            order = [entry["track_id"] for entry in entries]
            rng.shuffle(order)
            return "PUT", "tracks/reorder", {"track_ids": order}


@given(st.lists(st.none() | st.integers(-50, 50), unique_by=lambda rank: object() if rank is None else rank))
def test_planned_ranks_ascend_and_spare_what_stands_in_order(present: list[int | None]) -> None:
    changed = ranks.plan(present)
    after = [changed.get(index, rank) for index, rank in enumerate(present)]
    assert None not in after
    assert all(left < right for left, right in itertools.pairwise(after))  # type: ignore[operator] # no None
    if present == sorted(rank for rank in present if rank is not None):
        assert changed == {}
