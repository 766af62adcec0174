"""Random groups, resolved and taken back: everything is as it was. `python -m tests.duplicates.storm --groups 1000`."""

from __future__ import annotations

import argparse
import asyncio
import logging
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import structlog

from server.db.migrate import migrate
from tests.conftest import make_config
from tests.support import sound
from tests.support.application import Running, running
from tests.support.database import opened
from tests.support.library import audio_on_disk, tree

POLICIES = ("default", "oldest", "newest", "most_played", "best_tagged")


async def library_state(mismo: Running) -> Any:
    """Everything a client can see of tracks and lists, but for the times of change."""
    tracks = await _all(mismo, "/api/tracks", sort="relative_path")
    lists = await _all(mismo, "/api/playlists")
    contents = [(await mismo.client.get(f"/api/playlists/{item['id']}"))["data"] for item in lists]
    contents += [(await mismo.client.get(f"/api/tracks/{track['id']}"))["data"] for track in tracks]
    return _without_change_times(tracks), _without_change_times(contents)


async def _all(mismo: Running, path: str, **params: Any) -> list[Any]:
    found: list[Any] = []
    for page in range(1, 1000):
        answer = await mismo.client.get(path, limit=1000, page=page, **params)
        found += answer["data"]
        if page >= answer["pagination"]["total_pages"]:
            break
    return found


def _without_change_times(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _without_change_times(inner) for name, inner in value.items() if name != "updated_at"}
    if isinstance(value, list):
        return [_without_change_times(inner) for inner in value]
    return value


def make_copies(music: Path, groups: int, chance: random.Random) -> None:
    """Groups of two to four files with the same audio, some with tags of their own and side-cars."""
    for number in range(groups):
        first = sound.mp3(music / "a" / f"{number}.mp3", number, frames=4, TIT2=f"T{number}")
        for copy in range(chance.randint(1, 3)):
            target = music / f"copies {copy}" / f"{number}.mp3"
            target.parent.mkdir(exist_ok=True)
            shutil.copy2(first, target)
            if chance.random() < 0.5:
                sound.retag(target, TALB=f"Album {copy}", TPE1="Somebody")
            if chance.random() < 0.1:
                target.with_suffix(".lrc").write_text("la")


async def give_them_meaning(mismo: Running, ids: list[str], chance: random.Random) -> None:
    """Ratings, marks, plays, cues and places in lists."""
    for track_id in ids:
        if chance.random() < 0.5:
            values = {
                "rating": chance.randint(0, 5), "tags": chance.sample("xyz", 2), "is_favorite": chance.random() < 0.3,
                "color_tag": chance.choice(["red", "blue", None]), "label": chance.choice(["Kompakt", None]),
            }  # fmt: skip
            given = {name: value for name, value in values.items() if chance.random() < 0.6}
            await mismo.client.patch(f"/api/tracks/{track_id}", given or {"rating": 1})
        if chance.random() < 0.2:
            cue = {"position": 0.05, "name": "Drop"}
            await mismo.client.put(f"/api/tracks/{track_id}/hot-cues/{chance.randint(0, 7)}", cue)
        if chance.random() < 0.2:
            day = f"2026-01-{chance.randint(1, 28):02}"
            for event, minute in (("start", 10), ("stop", 15)):
                body = {"event": event, "at": f"{day}T20:{minute}:00.000Z"}
                await mismo.client.post(f"/api/tracks/{track_id}/playback", body)
    for number in range(max(2, len(ids) // 200)):
        body = {"name": f"List {number}", "type": "static"}
        playlist = (await mismo.client.post("/api/playlists", body, status=201))["data"]
        chosen = chance.choices(ids, k=40)
        await mismo.client.post(f"/api/playlists/{playlist['id']}/tracks", {"track_ids": chosen}, status=201)


async def resolve_and_undo(mismo: Running, music: Path, groups: int, seed: int) -> Counter[str]:
    """Raises AssertionError when anything differs afterwards; what was done, counted."""
    chance = random.Random(seed)
    make_copies(music, groups, chance)
    directory = await mismo.added(music)
    await mismo.scanned(directory["id"])
    async with mismo.socket("duplicate:*", since=0) as socket:
        await socket.until(lambda _: sum(e["event"] == "duplicate:detected" for e in socket.events) == groups)
    ids = [track["id"] for track in await _all(mismo, "/api/tracks", sort="relative_path")]
    await give_them_meaning(mismo, ids, chance)
    await mismo.settled()
    before, files, audio = await library_state(mismo), tree(music), audio_on_disk(music)
    found = await _all(mismo, "/api/duplicates")
    assert len(found) == groups
    count = Counter(tracks=len(ids), groups=groups)
    for group in found:
        body = {
            "policy": chance.choice(POLICIES),
            "delete_files": chance.random() < 0.7,
            "dedupe_playlists": chance.random() < 0.5,
            "confirm": True,
        }
        result = (await mismo.client.post(f"/api/duplicates/{group['id']}/resolve", body))["data"]
        count["deletions"] += await _done(mismo, result["operations"])
        count["merged values"] += len(result["merged"])
    assert audio_on_disk(music) == audio
    assert tree(music) != files
    for group in reversed(found):
        undone = (await mismo.client.post(f"/api/duplicates/{group['id']}/undo", status=202))["data"]
        count["files brought back"] += await _done(mismo, undone["operations"])
    assert tree(music) == files
    assert await library_state(mismo) == before
    assert (await mismo.client.post("/api/duplicates/scan"))["data"] == {"appeared": 0, "changed": 0, "gone": 0}
    return count


async def _done(mismo: Running, operations: list[Any]) -> int:
    ended = await mismo.app.operations.finished([item["id"] for item in operations])
    assert {item.state for item in ended} <= {"done"}, [item.error for item in ended]
    return len(ended)


async def _run(folder: Path, groups: int, seed: int) -> Counter[str]:
    config = make_config(database_url=f"sqlite:///{folder}/library.db")
    (folder / "music").mkdir()
    async with opened(config) as database:
        await migrate(database)
    async with running(config) as mismo:
        return await resolve_and_undo(mismo, folder / "music", groups, seed)


def main() -> int:
    parser = argparse.ArgumentParser(description="Resolve random duplicate groups, undo it, and compare everything")
    parser.add_argument("--groups", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=7)
    given = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mismo-duplicates-") as folder:
        count = asyncio.run(_run(Path(folder), given.groups, given.seed))
    told = ", ".join(f"{number} {name}" for name, number in count.items())
    print(f"resolve_duplicates: {told}; all as it was, {time.monotonic() - began:.0f} s")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
