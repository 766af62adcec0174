"""A client's copy of the library stays true, by events and by delta pages, whatever is done to the library."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from tests.support import sound
from tests.support.application import Running
from tests.support.replay import assert_replays, recorded, snapshot, sync


class Person:
    """Does random things to files and tracks, and scans now and then."""

    def __init__(self, mismo: Running, music: Path, directory_id: str, seed: int):
        self._mismo = mismo
        self._music = music
        self._directory_id = directory_id
        self._chance = random.Random(seed)
        self._made = 0

    async def act(self) -> None:
        acts = (self.new_file, self.new_file, self.edit, self.edit, self.rename, self.retag, self.remove, self.forget)
        await self._chance.choice(acts)()

    async def scan(self) -> None:
        await self._mismo.scanned(self._directory_id)

    async def new_file(self) -> None:
        self._made += 1
        sound.mp3(self._music / f"{self._made}.mp3", f"{self._made}", frames=20, TIT2=f"Title {self._made}")

    def _files(self) -> list[Path]:
        return sorted(self._music.glob("*.mp3"))

    async def rename(self) -> None:
        if files := self._files():
            file = self._chance.choice(files)
            file.rename(file.with_name(f"renamed {file.name}"))

    async def retag(self) -> None:
        if files := self._files():
            sound.retag(self._chance.choice(files), TPE1=f"Artist {self._chance.random()}")

    async def remove(self) -> None:
        if files := self._files():
            self._chance.choice(files).unlink()

    async def _any_track(self) -> str | None:
        tracks: list[dict[str, Any]] = (await self._mismo.client.get("/api/tracks", limit=1000))["data"]
        return self._chance.choice(tracks)["id"] if tracks else None

    async def edit(self) -> None:
        if track_id := await self._any_track():
            await self._mismo.client.patch(f"/api/tracks/{track_id}", {"rating": self._chance.randrange(6)})

    async def forget(self) -> None:
        if track_id := await self._any_track():
            await self._mismo.client.delete(f"/api/tracks/{track_id}")


@pytest.mark.parametrize("seed", range(3))
async def test_old_copy_and_events_or_delta_pages_make_a_fresh_copy(mismo: Running, music: Path, seed: int) -> None:
    directory = await mismo.added(music, watch=False)
    person = Person(mismo, music, directory["id"], seed)
    for _ in range(6):
        await person.new_file()
    await person.scan()
    for _ in range(4):
        async with assert_replays(mismo):
            for _ in range(6):
                await person.act()
            await person.scan()


@pytest.mark.parametrize("limit", [1, 2, 1000])
async def test_delta_pages_of_any_size_taken_while_the_library_changes_end_in_a_fresh_copy(
    mismo: Running, music: Path, limit: int
) -> None:
    directory = await mismo.added(music, watch=False)
    person = Person(mismo, music, directory["id"], 99)
    for _ in range(5):
        await person.new_file()
    await person.scan()
    seq, copy = 0, dict[str, dict[str, Any]]()
    for _ in range(5):
        page = (await mismo.client.get("/api/library", since=seq, limit=limit))["data"]
        for track in (*page["added"], *page["updated"]):
            copy[track["id"]] = track
        for track_id in page["deleted"]:
            copy.pop(track_id, None)
        seq = page["seq"]
        await person.act()
        await person.scan()
    seq, copy = await sync(mismo, copy, seq, limit)
    assert copy == (await snapshot(mismo))[1]


async def test_recorded_events_of_a_block_are_complete_and_only_its_own(mismo: Running, music: Path) -> None:
    sound.mp3(music / "one.mp3", 1)
    directory = await mismo.added(music, watch=False)
    await mismo.scanned(directory["id"])
    (track,) = (await mismo.client.get("/api/tracks"))["data"]
    async with recorded(mismo, "track:*") as events:
        for rating in 1, 2, 3:
            await mismo.client.patch(f"/api/tracks/{track['id']}", {"rating": rating})
    assert [event["data"]["tracks"][0]["id"] for event in events] == [track["id"]] * 3
    assert events[-1]["data"]["tracks"][0]["rating"] == 3
