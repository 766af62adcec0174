"""Folders as the library knows them, files that are missing, and cleaning up after them."""

# a test may block its own loop

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.support import sound
from tests.support.application import Running


async def tracks(mismo: Running, **params: Any) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = (await mismo.client.get("/api/tracks", sort="file_name", **params))["data"]
    return listed


async def test_browsing_counts_what_lies_below_each_folder(mismo: Running, music: Path) -> None:
    sizes = {
        name: sound.mp3(music / name, name, frames=3).stat().st_size
        for name in ("a/1.mp3", "a/b/2.mp3", "a/b/3.mp3", "a b/4.mp3", "ä/x/5.mp3", "6.mp3")
    }
    directory = await mismo.added(music)
    await mismo.scanned(directory["id"])
    url = f"/api/library/directories/{directory['id']}/browse"
    top = (await mismo.client.get(url))["data"]
    assert [(item["name"], item["tracks"]) for item in top["folders"]] == [("a", 3), ("a b", 1), ("ä", 1)]
    assert top["folders"][0]["bytes"] == sizes["a/1.mp3"] + sizes["a/b/2.mp3"] + sizes["a/b/3.mp3"]
    assert [track["relative_path"] for track in top["tracks"]] == ["6.mp3"]
    inner = (await mismo.client.get(url + "?path=a"))["data"]
    assert [(item["path"], item["tracks"]) for item in inner["folders"]] == [("a/b", 2)]
    assert [track["relative_path"] for track in inner["tracks"]] == ["a/1.mp3"]
    deep = (await mismo.client.get(url + "?path=ä"))["data"]
    assert [(item["path"], item["tracks"]) for item in deep["folders"]] == [("ä/x", 1)]
    assert (await mismo.client.get(url + "?path=nowhere"))["data"] == {"path": "nowhere", "folders": [], "tracks": []}
    assert (await mismo.client.request("GET", url + "?path=../x")).status == 422


async def test_cleanup_removes_only_files_missing_for_long_and_restore_brings_them_back(
    mismo: Running, music: Path
) -> None:
    for name in ("one", "two", "stays"):
        sound.mp3(music / f"{name}.mp3", name, TIT2=name)
    directory = await mismo.added(music)
    await mismo.scanned(directory["id"])
    before = await tracks(mismo)
    await mismo.client.patch(f"/api/tracks/{before[0]['id']}", {"rating": 5, "tags": ["peak"], "title": "Corrected"})
    (music / "one.mp3").unlink()
    (music / "two.mp3").unlink()
    await mismo.scanned(directory["id"])
    url = f"/api/library/directories/{directory['id']}"
    missing = (await mismo.client.get(f"{url}/missing"))["data"]
    assert {track["file_name"] for track in missing} == {"one.mp3", "two.mp3"}
    fresh = (await mismo.client.post(f"{url}/cleanup", {"remove_missing_older_than_days": 1}))["data"]
    assert (fresh["matched"], fresh["removed"]) == (0, 0)
    dry = (await mismo.client.post(f"{url}/cleanup", {"remove_missing_older_than_days": 0, "dry_run": True}))["data"]
    assert (dry["matched"], dry["backup"]) == (2, None)
    snapshot = await tracks(mismo)
    assert len(snapshot) == 3
    done = (await mismo.client.post(f"{url}/cleanup", {"remove_missing_older_than_days": 0}))["data"]
    assert (done["matched"], done["removed"]) == (2, 2)
    assert [track["file_name"] for track in await tracks(mismo)] == ["stays.mp3"]
    back = (await mismo.client.post(f"{url}/restore", {"backup": done["backup"]}))["data"]
    assert back == {"restored": 2}
    assert await tracks(mismo) == snapshot
    again = (await mismo.client.post(f"{url}/restore", {"backup": done["backup"]}))["data"]
    assert again == {"restored": 0}
    sound.mp3(music / "elsewhere.mp3", "one", TIT2="one")
    await mismo.scanned(directory["id"])
    (found,) = [track for track in await tracks(mismo, is_missing=False) if track["id"] == before[0]["id"]]
    assert (found["relative_path"], found["rating"], found["title"]) == ("elsewhere.mp3", 5, "Corrected")


async def test_backup_is_named_and_never_a_path(mismo: Running, music: Path) -> None:
    directory = await mismo.added(music)
    for backup in ("../../etc/passwd", "/etc/passwd", "cleanup-1-x.json", "x"):
        answer = await mismo.client.request(
            "POST", f"/api/library/directories/{directory['id']}/restore", {"backup": backup}
        )
        assert answer.status == 422


async def test_history_tells_what_happened_to_a_file(mismo: Running, music: Path) -> None:
    file = sound.mp3(music / "one.mp3", 1, TIT2="One")
    (music / "keep.txt").touch()
    directory = await mismo.added(music)
    await mismo.scanned(directory["id"])
    (track,) = await tracks(mismo)
    sound.retag(file, TIT2="Two")
    await mismo.scanned(directory["id"])
    file = file.rename(music / "zwei.mp3")
    await mismo.scanned(directory["id"])
    file = file.rename(music.parent / "away.mp3")
    await mismo.scanned(directory["id"])
    file.rename(music / "zwei.mp3")
    await mismo.scanned(directory["id"])
    await mismo.client.patch(f"/api/tracks/{track['id']}", {"title": "Corrected"})
    async with mismo.socket("track:*", since=0) as socket:
        await socket.named("track:restored")
    while len(story := await mismo.app.tracks.library_history(track["id"])) < 5:
        await mismo.settled()
    assert [(item["event"], item.get("from"), item.get("to")) for item in story] == [
        ("added", None, None),
        ("retagged", None, None),
        ("moved", "one.mp3", "zwei.mp3"),
        ("missing", None, None),
        ("restored", None, None),
    ]
    assert "title" in story[1]["fields"]
