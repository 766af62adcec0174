"""Resolving duplicates from outside: groups found, merged, repointed, deleted; and all of it taken back."""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path
from typing import Any

from tests.duplicates.storm import library_state
from tests.support import sound
from tests.support.application import Running
from tests.support.library import audio_on_disk, done, library, tree


async def copied(mismo: Running, music: Path, *names: str) -> tuple[dict[str, str], dict[str, Any]]:
    """Files with the same audio; their tracks by path, and their group once it is detected."""
    sound.mp3(music / names[0], "same", TIT2="One", TPE1="Somebody")
    for name in names[1:]:
        (music / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(music / names[0], music / name)
    async with mismo.socket("duplicate:*") as socket:
        lib = await library(mismo, music)
        group = (await socket.named("duplicate:detected"))["data"]["group"]
    return lib.ids, group


async def test_group_is_found_shown_and_gone_with_its_second_track(mismo: Running, music: Path) -> None:
    ids, group = await copied(mismo, music, "a.mp3", "b.mp3", "c/d.mp3")
    size = (music / "a.mp3").stat().st_size
    assert (group["status"], group["track_count"], group["total_bytes"]) == ("open", 3, 3 * size)
    assert group["reclaimable_bytes"] == 2 * size
    (listed,) = (await mismo.client.get("/api/duplicates?status=open&sort=-reclaimable_bytes"))["data"]
    assert listed["id"] == group["id"]
    found = (await mismo.client.get("/api/tracks", duplicate_group_id=group["id"]))["data"]
    assert {track["id"] for track in found} == set(ids.values())
    detail = (await mismo.client.get(f"/api/duplicates/{group['id']}"))["data"]
    assert [item["rank"] for item in detail["tracks"]] == [1, 2, 3]
    assert (await mismo.client.post("/api/duplicates/scan"))["data"] == {"appeared": 0, "changed": 0, "gone": 0}
    async with mismo.socket("duplicate:*") as socket:
        await mismo.client.delete(f"/api/tracks/{ids['b.mp3']}")
        await mismo.client.delete(f"/api/tracks/{ids['a.mp3']}")
        gone = await socket.named("duplicate:resolved")
    assert gone["data"]["group"]["status"] == "gone"
    (left,) = (await mismo.client.get("/api/tracks"))["data"]
    assert left["duplicate_group_id"] is None
    assert (await mismo.client.get("/api/duplicates/stats"))["data"]["groups"] == 0


async def test_resolution_merges_repoints_deletes_and_is_undone_whole(mismo: Running, music: Path) -> None:
    ids, group = await copied(mismo, music, "a.mp3", "b.mp3", "c.mp3")
    keep, second, third = ids["a.mp3"], ids["b.mp3"], ids["c.mp3"]
    await mismo.client.patch(f"/api/tracks/{keep}", {"color_tag": "red"})
    await mismo.client.patch(f"/api/tracks/{second}", {"rating": 4, "color_tag": "blue", "tags": ["peak"]})
    await mismo.client.patch(f"/api/tracks/{third}", {"rating": 5, "label": "Kompakt", "is_favorite": True})
    playlist = (await mismo.client.post("/api/playlists", {"name": "Set", "type": "static"}, status=201))["data"]
    await mismo.client.post(f"/api/playlists/{playlist['id']}/tracks", {"track_ids": [second, keep, third]}, status=201)
    await mismo.client.put(f"/api/tracks/{second}/hot-cues/3", {"position": 1.5, "name": "Drop"})
    before, files, audio = await library_state(mismo), tree(music), audio_on_disk(music)
    choice = {"canonical_track_id": keep, "delete_files": True}
    url = f"/api/duplicates/{group['id']}/resolve"
    plan = (await mismo.client.post(url, {**choice, "dry_run": True}))["data"]
    assert (await library_state(mismo), tree(music)) == (before, files)
    await mismo.client.post(url, choice, status=422)
    result = (await mismo.client.post(url, {**choice, "confirm": True}))["data"]
    same = ("canonical_track_id", "reasons", "merged", "playlists", "cues", "deletions")
    assert {name: plan[name] for name in same} == {name: result[name] for name in same}
    await mismo.app.operations.finished([item["id"] for item in result["operations"]])
    assert sorted(name for name in os.listdir(music) if name.endswith(".mp3")) == ["a.mp3"]
    assert audio_on_disk(music) == audio
    kept = (await mismo.client.get(f"/api/tracks/{keep}"))["data"]
    seen = {name: kept[name] for name in ("rating", "color_tag", "tags", "label", "is_favorite")}
    assert seen == {"rating": 5, "color_tag": "red", "tags": ["peak"], "label": "Kompakt", "is_favorite": True}
    assert [(cue["index"], cue["name"]) for cue in kept["hot_cues"]] == [(3, "Drop")]
    entries = (await mismo.client.get(f"/api/playlists/{playlist['id']}"))["data"]["entries"]
    assert [entry["track_id"] for entry in entries] == [keep, keep, keep]
    undone = (await mismo.client.post(f"/api/duplicates/{group['id']}/undo", status=202))["data"]
    await mismo.app.operations.finished([item["id"] for item in undone["operations"]])
    assert tree(music) == files
    assert await library_state(mismo) == before
    assert (await mismo.client.get(f"/api/duplicates/{group['id']}"))["data"]["status"] == "open"
    await mismo.client.post(f"/api/duplicates/{group['id']}/undo", status=409)


async def test_merging_overwrites_nothing_the_user_set_and_adds_up_plays(mismo: Running, music: Path) -> None:
    ids, group = await copied(mismo, music, "a.mp3", "b.mp3")
    await mismo.client.patch(f"/api/tracks/{ids['a.mp3']}", {"rating": 2, "title": "Mine"})
    await mismo.client.patch(f"/api/tracks/{ids['b.mp3']}", {"rating": 5, "title": "Theirs", "album": "Album"})
    body = {"canonical_track_id": ids["a.mp3"]}
    await mismo.client.post(f"/api/duplicates/{group['id']}/resolve", body)
    kept = (await mismo.client.get(f"/api/tracks/{ids['a.mp3']}"))["data"]
    assert (kept["rating"], kept["title"], kept["album"]) == (2, "Mine", "Album")
    copy = (await mismo.client.get(f"/api/tracks/{ids['b.mp3']}"))["data"]
    assert (copy["is_missing"], copy["rating"]) == (False, 5)
    assert (await mismo.client.get(f"/api/duplicates/{group['id']}"))["data"]["status"] == "resolved"


async def test_file_whose_audio_changed_unseen_is_never_deleted(mismo: Running, music: Path) -> None:
    ids, group = await copied(mismo, music, "a.mp3", "b.mp3")
    status = (music / "b.mp3").stat()
    with (music / "b.mp3").open("r+b") as file:
        file.seek(-100, 2)
        file.write(b"\x01\x02\x03")
    os.utime(music / "b.mp3", ns=(status.st_atime_ns, status.st_mtime_ns))
    before = tree(music)
    body = {"canonical_track_id": ids["a.mp3"], "delete_files": True, "confirm": True}
    result = (await mismo.client.post(f"/api/duplicates/{group['id']}/resolve", body))["data"]
    (operation,) = await mismo.app.operations.finished([result["operations"][0]["id"]])
    assert operation.error_code == "audio_differs"
    assert tree(music) == before


async def test_ignored_group_asks_again_only_when_reopened(mismo: Running, music: Path) -> None:
    _, group = await copied(mismo, music, "a.mp3", "b.mp3")
    url = f"/api/duplicates/{group['id']}"
    assert (await mismo.client.post(f"{url}/ignore"))["data"]["status"] == "ignored"
    await mismo.client.post(f"{url}/ignore", status=409)
    problem = await mismo.client.post(f"{url}/resolve", status=409)
    assert problem["code"] == "group_not_open"
    assert (await mismo.client.post(f"{url}/reopen"))["data"]["status"] == "open"


async def test_resolved_group_opens_again_when_a_further_copy_comes(mismo: Running, music: Path) -> None:
    _, group = await copied(mismo, music, "a.mp3", "b.mp3")
    await mismo.client.post(f"/api/duplicates/{group['id']}/resolve")
    shutil.copy2(music / "a.mp3", music / "c.mp3")
    (directory,) = (await mismo.client.get("/api/library/directories"))["data"]
    async with mismo.socket("duplicate:*") as socket:
        await mismo.scanned(directory["id"])
        again = (await socket.named("duplicate:detected"))["data"]["group"]
    assert (again["id"], again["track_count"]) == (group["id"], 3)


async def test_many_groups_are_resolved_under_one_policy(mismo: Running, music: Path) -> None:
    for number in range(5):
        sound.mp3(music / "first" / f"{number}.mp3", number, TIT2=f"{number}", TPE1="A" if number % 2 else "B")
    shutil.copytree(music / "first", music / "second")
    await library(mismo, music)
    await mismo.settled()
    async with mismo.socket("duplicate:*", since=0) as socket:
        await socket.until(lambda _: sum(e["event"] == "duplicate:detected" for e in socket.events) == 5)
    body = {"filter": {"artist": ["B"]}, "policy": "oldest", "dry_run": True}
    results = (await mismo.client.post("/api/duplicates/resolve", body))["data"]["results"]
    assert len(results) == 3
    body = {"filter": {}, "delete_files": True, "confirm": True}
    results = (await mismo.client.post("/api/duplicates/resolve", body))["data"]["results"]
    ids = [item["id"] for result in results for item in result["operations"]]
    assert {item.state for item in await mismo.app.operations.finished(ids)} == {"done"}
    assert sum(audio_on_disk(music / "first", music / "second").values()) == 5


async def test_deleting_the_file_of_one_copy_keeps_the_group_true(mismo: Running, music: Path) -> None:
    ids, group = await copied(mismo, music, "a.mp3", "b.mp3")
    await done(mismo, await mismo.client.delete(f"/api/tracks/{ids['b.mp3']}/file?confirm=true", status=202))
    assert (await mismo.client.post("/api/duplicates/scan"))["data"]["appeared"] == 0
    detail = (await mismo.client.get(f"/api/duplicates/{group['id']}"))["data"]
    assert (detail["suggested_track_id"], detail["reclaimable_bytes"]) == (ids["a.mp3"], 0)
    body = {"canonical_track_id": ids["b.mp3"], "delete_files": True, "confirm": True}
    problem = await mismo.client.post(f"/api/duplicates/{group['id']}/resolve", body, status=409)
    assert problem["code"] == "canonical_missing"


async def test_of_decisions_that_come_at_once_one_stands_and_a_copy_stays(mismo: Running, music: Path) -> None:
    names = ("a.mp3", "b.mp3", "c.mp3")
    ids, group = await copied(mismo, music, *names)
    audio = audio_on_disk(music)
    url = f"/api/duplicates/{group['id']}"
    for _ in range(5):
        choices = ({"canonical_track_id": ids[name], "delete_files": True, "confirm": True} for name in names)
        answers = await asyncio.gather(*(mismo.client.request("POST", f"{url}/resolve", choice) for choice in choices))
        assert sorted(answer.status for answer in answers) == [200, 409, 409]
        (result,) = (answer.json["data"] for answer in answers if answer.status == 200)
        await mismo.app.operations.finished([item["id"] for item in result["operations"]])
        left = [name for name in names if (music / name).exists()]
        assert [ids[name] for name in left] == [result["canonical_track_id"]]
        answers = await asyncio.gather(*(mismo.client.request("POST", f"{url}/undo") for _ in range(3)))
        assert sorted(answer.status for answer in answers) == [202, 409, 409]
        (undone,) = (answer.json["data"] for answer in answers if answer.status == 202)
        await mismo.app.operations.finished([item["id"] for item in undone["operations"]])
        assert audio_on_disk(music) == audio
        assert (await mismo.client.get(url))["data"]["status"] == "open"


async def test_copy_that_is_renamed_and_retagged_at_once_counts_with_its_new_size(mismo: Running, music: Path) -> None:
    _, group = await copied(mismo, music, "a.mp3", "b.mp3")
    moved = (music / "b.mp3").rename(music / "c.mp3")
    sound.retag(moved, TIT2="A much longer title " * 100)
    (directory,) = (await mismo.client.get("/api/library/directories"))["data"]
    assert (await mismo.scanned(directory["id"]))["counts"]["moved"] == 1
    shown = group  # no event tells of a group's size
    while shown["total_bytes"] == group["total_bytes"]:
        await asyncio.sleep(0.05)
        shown = (await mismo.client.get(f"/api/duplicates/{group['id']}"))["data"]
    assert shown["total_bytes"] == (music / "a.mp3").stat().st_size + moved.stat().st_size
    assert (await mismo.client.post("/api/duplicates/scan"))["data"] == {"appeared": 0, "changed": 0, "gone": 0}
