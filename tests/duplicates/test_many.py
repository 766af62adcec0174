"""Random groups, resolved and taken back: everything is as it was."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

from tests.duplicates.test_resolving import library_state
from tests.support import sound
from tests.support.application import Running
from tests.support.library import audio_on_disk, library, tree

GROUPS = 30


async def test_random_groups_resolved_and_undone_leave_all_as_it_was(mismo: Running, music: Path) -> None:
    chance = random.Random(7)
    for number in range(GROUPS):
        first = sound.mp3(music / "a" / f"{number}.mp3", number, frames=4, TIT2=f"T{number}")
        for copy in range(chance.randint(1, 3)):
            target = music / f"copies {copy}" / f"{number}.mp3"
            target.parent.mkdir(exist_ok=True)
            shutil.copy2(first, target)
            if chance.random() < 0.5:
                sound.retag(target, TALB=f"Album {copy}", TPE1="Somebody")
    lib = await library(mismo, music)
    async with mismo.socket("duplicate:*", since=0) as socket:
        await socket.until(lambda _: sum(e["event"] == "duplicate:detected" for e in socket.events) == GROUPS)
    for track_id in lib.ids.values():
        if chance.random() < 0.5:
            await mismo.client.patch(f"/api/tracks/{track_id}", {"rating": chance.randint(0, 5), "tags": ["x"]})
    for name in "pq":
        playlist = (await mismo.client.post("/api/playlists", {"name": name, "type": "static"}, status=201))["data"]
        chosen = chance.choices(sorted(lib.ids.values()), k=40)
        await mismo.client.post(f"/api/playlists/{playlist['id']}/tracks", {"track_ids": chosen}, status=201)
    before, files, audio = await library_state(mismo), tree(music), audio_on_disk(music)
    groups = (await mismo.client.get("/api/duplicates", limit=1000))["data"]
    assert len(groups) == GROUPS
    for group in groups:
        body = {
            "policy": chance.choice(["default", "oldest", "newest", "most_played", "best_tagged"]),
            "delete_files": chance.random() < 0.7,
            "dedupe_playlists": chance.random() < 0.5,
            "confirm": True,
        }
        result = (await mismo.client.post(f"/api/duplicates/{group['id']}/resolve", body))["data"]
        ended = await mismo.app.operations.finished([item["id"] for item in result["operations"]])
        assert {item.state for item in ended} <= {"done"}
    assert audio_on_disk(music) == audio
    assert tree(music) != files
    for group in reversed(groups):
        undone = (await mismo.client.post(f"/api/duplicates/{group['id']}/undo", status=202))["data"]
        ended = await mismo.app.operations.finished([item["id"] for item in undone["operations"]])
        assert {item.state for item in ended} <= {"done"}
    assert tree(music) == files
    assert await library_state(mismo) == before
