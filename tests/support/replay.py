"""Old state + events == new state: what a client that follows the events must be able to count on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.support.application import Running
from tests.support.websocket import Socket

Copy = dict[str, dict[str, Any]]
"""A client's copy of the library: id → the track as GET returns it."""


async def snapshot(mismo: Running) -> tuple[int, Copy]:
    """A fresh copy of all tracks, and the number that it is true for."""
    return await sync(mismo, {}, 0)


async def sync(mismo: Running, copy: Copy, since: int, limit: int = 1000) -> tuple[int, Copy]:
    """Bring a copy up to date by the pages of `GET /api/library`; answers the number to go on from, and the copy."""
    copy = dict(copy)
    while True:
        page = (await mismo.client.get("/api/library", since=since, limit=limit))["data"]
        for track in page["added"]:
            assert track["id"] not in copy, "what is said to be added wasn't there"
        for track in page["updated"]:
            assert track["id"] in copy, "what is said to be updated was there"
        for track in (*page["added"], *page["updated"]):
            copy[track["id"]] = track
        for track_id in page["deleted"]:
            del copy[track_id]
        assert page["seq"] >= since
        since = page["seq"]
        if not page["has_more"]:
            return since, copy


def replay(copy: Copy, events: list[dict[str, Any]]) -> Copy:
    """A copy after the events of `track:*`."""
    copy = dict(copy)
    for event in events:
        data = event["data"]
        if event["event"] == "track:deleted":
            for track_id in data["ids"]:
                copy.pop(track_id, None)
        elif event["event"].startswith("track:"):
            copy.update((track["id"], track) for track in data["tracks"])
    return copy


@asynccontextmanager
async def recorded(mismo: Running, *topics: str) -> AsyncIterator[list[dict[str, Any]]]:
    """The recorded events of a block, complete when it has ended, as a client received them."""
    await mismo.settled()
    events: list[dict[str, Any]] = []
    async with mismo.socket(*(topics or ("*",))) as socket:
        yield events
        events += (await _heard(mismo, socket))[1]


async def _heard(mismo: Running, socket: Socket) -> tuple[int, list[dict[str, Any]]]:
    """The number of the last event by now, and all that a client has received up to it."""
    await mismo.settled()
    last = mismo.app.log.seq
    # A further subscription takes the former ones along up to where it begins; the pong comes after all that.
    await socket.subscribe("companion:state", since=last)
    await socket.send(type="ping")
    await socket.reply("pong")
    return last, [event for event in socket.events if event.get("seq", last + 1) <= last]


@asynccontextmanager
async def assert_replays(mismo: Running) -> AsyncIterator[None]:
    """Whatever a block does to the library: an old copy and its events, or its delta pages, make a fresh copy."""
    await mismo.settled()
    seq, old = await snapshot(mismo)
    async with mismo.socket("track:*") as socket:
        yield
        while True:
            last, events = await _heard(mismo, socket)
            _, fresh = await snapshot(mismo)
            _, synced = await sync(mismo, old, seq, limit=3)
            await mismo.settled()
            if mismo.app.log.seq == last:
                break
            # The server did something by itself meanwhile (groups of copies).
    assert synced == fresh
    assert replay(old, events) == fresh
