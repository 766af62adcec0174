"""Folders as the library knows them, files that are missing, and cleaning up after them."""

# a test may block its own loop

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from tests.support import sound
from tests.support.application import Running
from tests.support.replay import assert_replays


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


async def test_folders_whose_names_arent_utf_8_are_browsed_by_the_name_they_show(mismo: Running, music: Path) -> None:
    names = [b"caf\xe9/1.mp3", b"caf\xe9/d\xe9j\xe0/2.mp3", b"caf\xe8/3.mp3", b"plain/4.mp3", b"caf\xc3\xa9/5.mp3"]
    for name in names:
        sound.mp3(music / os.fsdecode(name), name)
    directory = await mismo.added(music)
    await mismo.scanned(directory["id"])

    async def browsed(folder: str) -> tuple[list[tuple[str, int]], list[str]]:
        url = f"/api/library/directories/{directory['id']}/browse"
        found = (await mismo.client.get(f"{url}?path={folder}"))["data"]
        assert found["path"] == folder
        assert all(item["path"] == f"{folder}/{item['name']}".lstrip("/") for item in found["folders"])
        return (
            [(item["path"], item["tracks"]) for item in found["folders"]],
            [track["file_name"] for track in found["tracks"]],
        )

    # Two names that show the same can't be told apart by whoever reads them, so they are one folder here.
    top, _ = await browsed("")
    assert sorted(top) == [("caf\u00e9", 1), ("caf\ufffd", 3), ("plain", 1)]
    assert await browsed("caf\ufffd") == ([("caf\ufffd/d\ufffdj\ufffd", 1)], ["3.mp3", "1.mp3"])
    assert await browsed("caf\ufffd/d\ufffdj\ufffd") == ([], ["2.mp3"])
    assert await browsed("caf\u00e9") == ([], ["5.mp3"])


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
    assert back["restored"] == 2
    assert await tracks(mismo) == snapshot
    again = (await mismo.client.post(f"{url}/restore", {"backup": done["backup"]}))["data"]
    assert again["restored"] == 0
    sound.mp3(music / "elsewhere.mp3", "one", TIT2="one")
    await mismo.scanned(directory["id"])
    (found,) = [track for track in await tracks(mismo, is_missing=False) if track["id"] == before[0]["id"]]
    assert (found["relative_path"], found["rating"], found["title"]) == ("elsewhere.mp3", 5, "Corrected")


async def test_cleanup_and_restore_keep_cues_plays_list_entries_and_history(mismo: Running, music: Path) -> None:
    for name in ("one", "two", "three"):
        sound.mp3(music / f"{name}.mp3", name, TIT2=name)
    client = mismo.client
    directory = await mismo.added(music)
    await mismo.scanned(directory["id"])
    sound.retag(music / "one.mp3", TIT2="1")
    await mismo.scanned(directory["id"])
    one, three, two = (track["id"] for track in await tracks(mismo))
    wanted = {"type": "static", "name": "x", "track_ids": [two, one, three, one]}
    playlist = (await client.post("/api/playlists", wanted, status=201))["data"]
    entries = f"/api/playlists/{playlist['id']}/tracks"
    await client.put(f"{entries}/{one}", {"notes": "from the drop", "rating_in_context": 4})
    await client.put(f"/api/tracks/{one}/hot-cues/2", {"position": 1.5, "name": "drop", "color": "#FF0000"})
    for event in ("start", "complete"):
        await client.post(f"/api/tracks/{one}/playback", {"event": event, "deck": "A"})
    (music / "one.mp3").unlink()
    await mismo.scanned(directory["id"])

    async def everything() -> list[Any]:
        of_one = (f"/api/tracks/{one}/hot-cues", f"/api/tracks/{one}/history", f"/api/tracks/{one}")
        return [(await client.get(path))["data"] for path in (entries, *of_one)]

    before = await everything()
    url = f"/api/library/directories/{directory['id']}"
    kept = (await client.post(f"{url}/cleanup", {"remove_missing_older_than_days": 0}))["data"]
    assert (kept["kept"], kept["removed"]) == (1, 0)
    body = {"remove_missing_older_than_days": 0, "keep_playlists_intact": False}
    async with mismo.socket("playlist:track:removed") as socket:
        done = (await client.post(f"{url}/cleanup", body))["data"]
        await socket.named("playlist:track:removed")
    assert done["removed"] == 1
    assert [entry["track_id"] for entry in (await client.get(entries))["data"]] == [two, three]
    async with assert_replays(mismo):
        back = (await client.post(f"{url}/restore", {"backup": done["backup"]}))["data"]
    assert (back["restored"], back["entries"], back["cues"]) == (1, 2, 1)
    assert await everything() == before
    again = (await client.post(f"{url}/restore", {"backup": done["backup"]}))["data"]
    assert set(again.values()) == {0}
    assert await everything() == before
    done = (await client.post(f"{url}/cleanup", body))["data"]
    await client.delete(f"/api/playlists/{playlist['id']}")
    back = (await client.post(f"{url}/restore", {"backup": done["backup"]}))["data"]
    assert (back["restored"], back["entries"], back["cues"]) == (1, 0, 1)


async def test_backup_is_named_and_never_a_path(mismo: Running, music: Path) -> None:
    directory = await mismo.added(music)
    for backup in ("../../etc/passwd", "/etc/passwd", "cleanup-1-x.json", "x"):
        answer = await mismo.client.request(
            "POST", f"/api/library/directories/{directory['id']}/restore", {"backup": backup}
        )
        assert answer.status == 422


async def test_history_tells_what_happened_to_a_file(mismo: Running, music: Path, tmp_path: Path) -> None:
    file = sound.mp3(music / "one.mp3", 1, TIT2="One", TALB="Album")
    other = sound.mp3(music / "other.mp3", 2, TIT2="Other")
    (tmp_path / "second").mkdir()
    directory, second = await mismo.added(music), await mismo.added(tmp_path / "second")
    await mismo.scanned(directory["id"])
    track = next(track for track in await tracks(mismo) if track["title"] == "One")
    sound.retag(file, TIT2="Two")
    sound.retag(other, TALB="Its album")
    await mismo.scanned(directory["id"])
    file = file.rename(music / "zwei.mp3")
    await mismo.scanned(directory["id"])
    file = file.rename(music.parent / "away.mp3")
    await mismo.scanned(directory["id"])
    file = file.rename(music / "zwei.mp3")
    await mismo.scanned(directory["id"])
    await mismo.client.patch(f"/api/tracks/{track['id']}", {"rating": 3})
    file = file.rename(tmp_path / "second" / "three.mp3")
    sound.retag(file, TALB="Another")
    await mismo.scanned(second["id"])
    sound.mp3(file, 3, frames=50, TIT2="Two", TALB="Another")
    await mismo.scanned(second["id"])
    story = (await mismo.client.get(f"/api/tracks/{track['id']}/history"))["data"]
    assert [{name: value for name, value in item.items() if name != "at"} for item in reversed(story)] == [
        {"event": "added"},
        {"event": "retagged", "fields": ["title"]},
        {"event": "moved", "from": "one.mp3", "to": "zwei.mp3"},
        {"event": "missing"},
        {"event": "restored"},
        {
            "event": "moved", "from": "zwei.mp3", "to": "three.mp3", "from_directory_id": directory["id"],
            "to_directory_id": second["id"],
        },
        {"event": "retagged", "fields": ["album"]},
        {"event": "replaced"},
    ]  # fmt: skip
    assert len((await mismo.client.get(f"/api/tracks/{track['id']}/history", limit=2))["data"]) == 2
