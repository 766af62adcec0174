"""A track outlives what happens to its file."""

# a test may block its own loop

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.scanning.storm import rage
from tests.support import fuse, sound
from tests.support.application import Running
from tests.support.gate import Gate
from tests.support.library import done
from tests.support.replay import assert_replays


async def by_path(mismo: Running) -> dict[str, Any]:
    listed = (await mismo.client.get("/api/tracks", is_missing=False, limit=1000))["data"]
    return {track["relative_path"]: track["id"] for track in listed}


@pytest.mark.parametrize(("seed", "mounting"), [(1, None), (2, False)])
async def test_library_equals_a_model_of_it_whatever_happens(
    database_url: str, tmp_path: Path, seed: int, mounting: bool | None
) -> None:
    done = await rage(database_url, tmp_path, seed, 60, mounting=mounting)
    assert done["settlings"] >= 4


async def test_swapped_files_keep_their_tracks(mismo: Running, music: Path) -> None:
    first, second = sound.mp3(music / "a.mp3", 1), sound.mp3(music / "b.mp3", 2)
    for file in (first, second):
        os.utime(file, ns=(10**18, 10**18))  # the same size and time: only the inode tells them apart
    directory = await mismo.added(music)
    await mismo.scanned(directory["id"])
    before = await by_path(mismo)
    first.rename(music / "c.mp3")
    second.rename(first)
    (music / "c.mp3").rename(second)
    scan = await mismo.scanned(directory["id"])
    assert await by_path(mismo) == {"a.mp3": before["b.mp3"], "b.mp3": before["a.mp3"]}
    assert (scan["counts"]["moved"], scan["counts"]["added"], scan["counts"]["missing"]) == (2, 0, 0)


async def test_rename_over_another_file_moves_one_and_loses_the_other(mismo: Running, music: Path) -> None:
    sound.mp3(music / "a.mp3", 1)
    sound.mp3(music / "b.mp3", 2)
    directory = await mismo.added(music)
    await mismo.scanned(directory["id"])
    before = await by_path(mismo)
    (music / "b.mp3").rename(music / "a.mp3")
    await mismo.scanned(directory["id"])
    assert await by_path(mismo) == {"a.mp3": before["b.mp3"]}
    gone = (await mismo.client.get("/api/tracks", is_missing=True))["data"]
    assert [track["id"] for track in gone] == [before["a.mp3"]]


async def with_a_copy(mismo: Running, music: Path) -> tuple[str, dict[str, Any]]:
    """The id of a directory with `a.mp3` and, found later, `copy.mp3`; its tracks by path."""
    sound.mp3(music / "a.mp3", 1)
    directory = await mismo.added(music)
    await mismo.scanned(directory["id"])
    shutil.copyfile(music / "a.mp3", music / "copy.mp3")
    await mismo.scanned(directory["id"])
    return directory["id"], await by_path(mismo)


async def test_copy_is_a_new_track_and_never_a_move(mismo: Running, music: Path) -> None:
    sound.mp3(music / "a.mp3", 1)
    directory = await mismo.added(music)
    await mismo.scanned(directory["id"])
    before = await by_path(mismo)
    shutil.copyfile(music / "a.mp3", music / "0.mp3")
    os.link(music / "a.mp3", music / "link.mp3")
    scan = await mismo.scanned(directory["id"])
    after = await by_path(mismo)
    assert (scan["counts"]["added"], scan["counts"]["moved"]) == (2, 0)
    assert after["a.mp3"] == before["a.mp3"]
    assert len(set(after.values())) == 3


async def test_copying_and_deleting_later_is_a_move(mismo: Running, music: Path, tmp_path: Path) -> None:
    """As programs move files from one drive to another, with a scan in between."""
    for number in range(3):
        sound.mp3(music / "album" / f"{number}.mp3", number, TIT2=f"Title {number}")
    (music / "keep.txt").touch()
    (tmp_path / "other").mkdir()
    old, new = await mismo.added(music), await mismo.added(tmp_path / "other")
    await mismo.scanned(old["id"])
    before = await by_path(mismo)
    await mismo.client.patch(f"/api/tracks/{before['album/1.mp3']}", {"rating": 4})
    shutil.copytree(music / "album", tmp_path / "other" / "moved")
    sound.retag(tmp_path / "other" / "moved" / "1.mp3", TIT2="Retagged")
    assert (await mismo.scanned(new["id"]))["counts"]["added"] == 3
    shutil.rmtree(music / "album")
    async with assert_replays(mismo):
        counts = (await mismo.scanned(old["id"]))["counts"]
    assert (counts["moved"], counts["missing"]) == (3, 0)
    assert await by_path(mismo) == {path.replace("album", "moved"): track for path, track in before.items()}
    kept = (await mismo.client.get(f"/api/tracks/{before['album/1.mp3']}"))["data"]
    assert (kept["rating"], kept["title"], kept["file_name"]) == (4, "Retagged", "1.mp3")
    left = (await mismo.client.get("/api/tracks", is_missing=True))["data"]
    assert sorted(track["relative_path"] for track in left) == ["album/0.mp3", "album/1.mp3", "album/2.mp3"]
    assert not {track["id"] for track in left} & set(before.values())
    for directory in (old, new):
        counts = (await mismo.scanned(directory["id"]))["counts"]
        assert (counts["added"], counts["moved"], counts["missing"], counts["restored"]) == (0, 0, 0, 0)


@pytest.mark.parametrize("use", ["rating", "playlist", "cue"])
async def test_copy_that_somebody_uses_stays_itself_when_the_original_goes(
    mismo: Running, music: Path, use: str
) -> None:
    directory, before = await with_a_copy(mismo, music)
    copy = before["copy.mp3"]
    if use == "rating":
        await mismo.client.patch(f"/api/tracks/{copy}", {"rating": 4})
    elif use == "playlist":
        await mismo.client.post("/api/playlists", {"type": "static", "name": "x", "track_ids": [copy]}, status=201)
    else:
        await mismo.client.put(f"/api/tracks/{copy}/hot-cues/0", {"position": 1.0})
    (music / "a.mp3").unlink()
    counts = (await mismo.scanned(directory))["counts"]
    assert (counts["moved"], counts["missing"]) == (0, 1)
    assert await by_path(mismo) == {"copy.mp3": copy}


async def test_original_deleted_while_its_copy_was_away_goes_on_there_when_the_drive_returns(
    mismo: Running, music: Path, tmp_path: Path
) -> None:
    sound.mp3(music / "a.mp3", 1)
    (music / "keep.txt").touch()
    sound.mp3(tmp_path / "drive" / "other.mp3", 2)
    at_home, on_drive = await mismo.added(music), await mismo.added(tmp_path / "drive")
    await mismo.scanned(at_home["id"])
    original = (await by_path(mismo))["a.mp3"]
    await mismo.client.patch(f"/api/tracks/{original}", {"rating": 4})
    shutil.copyfile(music / "a.mp3", tmp_path / "drive" / "copy.mp3")
    await mismo.scanned(on_drive["id"])
    before = await by_path(mismo)
    (tmp_path / "drive").rename(tmp_path / "unplugged")
    await mismo.client.get(f"/api/library/directories/{on_drive['id']}")
    (music / "a.mp3").unlink()
    assert (await mismo.scanned(at_home["id"]))["counts"]["missing"] == 1
    (tmp_path / "unplugged").rename(tmp_path / "drive")
    async with assert_replays(mismo):
        assert (await mismo.scanned(on_drive["id"]))["counts"]["moved"] == 1
    assert await by_path(mismo) == {"copy.mp3": original, "other.mp3": before["other.mp3"]}
    (left,) = (await mismo.client.get("/api/tracks", is_missing=True))["data"]
    assert (left["id"], left["relative_path"]) == (before["copy.mp3"], "a.mp3")


async def test_of_two_missing_tracks_with_the_same_audio_the_older_goes_on(mismo: Running, music: Path) -> None:
    directory, before = await with_a_copy(mismo, music)
    original = before["a.mp3"]
    await mismo.client.patch(f"/api/tracks/{original}", {"rating": 4})
    shutil.copyfile(music / "a.mp3", music / "kept")
    (music / "a.mp3").unlink()
    (music / "copy.mp3").unlink()
    assert (await mismo.scanned(directory))["counts"]["missing"] == 2
    (music / "kept").rename(music / "copy.mp3")
    await mismo.scanned(directory)
    assert (await by_path(mismo))["copy.mp3"] == original


async def test_deleted_copy_stays_deleted_while_another_is_there(mismo: Running, music: Path) -> None:
    directory, before = await with_a_copy(mismo, music)
    answer = await mismo.client.delete(f"/api/tracks/{before['a.mp3']}/file?confirm=true", status=202)
    operation = await done(mismo, answer)
    await mismo.scanned(directory)
    (music / "copy.mp3").rename(music / "renamed.mp3")
    await mismo.scanned(directory)
    assert await by_path(mismo) == {"renamed.mp3": before["copy.mp3"]}
    await done(mismo, await mismo.client.post(f"/api/operations/{operation['id']}/undo", status=202))
    assert await by_path(mismo) == {"renamed.mp3": before["copy.mp3"], "a.mp3": before["a.mp3"]}


async def test_links_are_files_of_their_own_where_they_are_followed(mismo: Running, music: Path) -> None:
    sound.mp3(music / "a.mp3", 1)
    (music / "link.mp3").symlink_to("a.mp3")
    directory = await mismo.added(music, follow_symlinks=True)
    await mismo.scanned(directory["id"])
    before = await by_path(mismo)
    assert set(before) == {"a.mp3", "link.mp3"}
    shutil.copyfile(music / "a.mp3", music / "copy.mp3")
    counts = (await mismo.scanned(directory["id"]))["counts"]
    assert (counts["added"], counts["moved"]) == (1, 0)
    after = await by_path(mismo)
    assert {name: after[name] for name in before} == before
    (music / "copy.mp3").unlink()
    (music / "a.mp3").unlink()  # the link leads nowhere now
    assert (await mismo.scanned(directory["id"]))["counts"]["missing"] == 3


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("track.mp3", "TRACK.mp3"),
        ("Caf\u00e9.mp3", "Cafe\u0301.mp3"),
        ("Album/track.mp3", "ALBUM/track.mp3"),
    ],
)
async def test_other_spelling_where_both_lead_to_the_file_is_a_rename(
    mismo: Running, tmp_path: Path, old: str, new: str
) -> None:
    with fuse.mounted(tmp_path / "drive", folding=True) as drive:
        sound.mp3(drive.backing / old, 1, TIT2="Title", TPE1="Artist")
        (drive.backing / "keep.txt").touch()
        directory = await mismo.added(drive.place)
        await mismo.scanned(directory["id"])
        before = await by_path(mismo)
        (drive.backing / old.split("/", maxsplit=1)[0]).rename(drive.backing / new.split("/", maxsplit=1)[0])
        assert (drive.place / old).exists()
        counts = (await mismo.scanned(directory["id"]))["counts"]
        assert await by_path(mismo) == {new: before[old]}
        assert (counts["moved"], counts["added"], counts["missing"]) == (1, 0, 0)
        (drive.backing / new.split("/", maxsplit=1)[0]).rename(drive.backing / old.split("/", maxsplit=1)[0])
        sound.retag(drive.backing / old, TIT2="Other")
        await mismo.scanned(directory["id"])
        assert await by_path(mismo) == {old: before[old]}
        (drive.backing / old.split("/", maxsplit=1)[0]).rename(drive.backing / new.split("/", maxsplit=1)[0])
        sound.retag(drive.backing / new, TIT2="Another")
        await mismo.scanned(directory["id"], strategy="fast")
        assert len(await by_path(mismo)) == 1


@pytest.mark.parametrize("new_first", [True, False])
async def test_move_to_another_directory_in_any_order_of_scans(
    mismo: Running, music: Path, tmp_path: Path, new_first: bool
) -> None:
    sound.mp3(music / "a.mp3", 1, TIT2="A")
    (music / "keep.txt").touch()
    (tmp_path / "other").mkdir()
    old, new = await mismo.added(music), await mismo.added(tmp_path / "other")
    await mismo.scanned(old["id"])
    before = await by_path(mismo)
    moved = (music / "a.mp3").rename(tmp_path / "other" / "z.mp3")
    sound.retag(moved, TIT2="Z")
    for directory in (new, old) if new_first else (old, new):
        await mismo.scanned(directory["id"])
    assert await by_path(mismo) == {"z.mp3": before["a.mp3"]}
    assert (await mismo.client.get("/api/tracks"))["pagination"]["total"] == 1


async def test_moved_files_arent_opened(mismo: Running, music: Path) -> None:
    for number in range(5):
        sound.mp3(music / "old" / f"{number}.mp3", number, TIT2=str(number), TPE1="x")
    directory = await mismo.added(music)
    await mismo.scanned(directory["id"])
    before = await by_path(mismo)
    (music / "old").rename(music / "new")
    await mismo.app.workers.close()
    scan = await mismo.scanned(directory["id"])
    assert scan["counts"]["moved"] == 5
    assert mismo.app.workers.process_ids == []  # nobody was asked to read anything
    assert await by_path(mismo) == {path.replace("old", "new"): track for path, track in before.items()}


async def test_nothing_but_its_place_changes_about_a_file_in_another_folder(
    mismo: Running, music: Path, tmp_path: Path
) -> None:
    odd = ',"file_name":"x","updated_at":"never'
    sound.mp3(music / "one.mp3", 1, TIT2=odd, TPE1='"library_directory_id":', TCON="House; Techno")
    sound.mp3(music / odd / "two.mp3", 2, TIT2="Two")
    (music / "left.txt").touch()
    (tmp_path / "other").mkdir()
    directory, other = await mismo.added(music), await mismo.added(tmp_path / "other")
    await mismo.scanned(directory["id"])
    before = {track["id"]: track for track in (await mismo.client.get("/api/tracks"))["data"]}
    places = {"one.mp3": music / "new" / odd / "one.mp3", f"{odd}/two.mp3": tmp_path / "other" / "two.mp3"}
    for old, new in places.items():
        new.parent.mkdir(parents=True, exist_ok=True)
        (music / old).rename(new)
    async with mismo.socket("track:moved") as socket:
        for scanned in (directory, other):
            await mismo.scanned(scanned["id"])
        await socket.until(lambda _: len(socket.events) == 2)
    by_name = {event["data"]["moves"][0]["to"].rpartition("/")[2]: event["data"]["fields"] for event in socket.events}
    assert by_name == {
        "one.mp3": ["path", "relative_path", "updated_at"],
        "two.mp3": ["library_directory_id", "missing_since", "path", "relative_path", "updated_at"],
    }
    after = (await mismo.client.get("/api/tracks"))["data"]
    assert len(after) == 2
    for track in after:
        was = before[track["id"]]
        place = places[was["relative_path"]]
        home = other if place.is_relative_to(tmp_path / "other") else directory
        assert track == {
            **was,
            "library_directory_id": home["id"],
            "file_path": str(place),
            "relative_path": str(place.relative_to(home["path"])),
            "updated_at": track["updated_at"],
        }
        assert track["updated_at"] > was["updated_at"]


@pytest.mark.parametrize(("old", "new"), [("Caf\u00e9.mp3", "Cafe\u0301.mp3"), ("track.mp3", "TRACK.mp3")])
async def test_other_spelling_of_a_name_is_a_rename(mismo: Running, music: Path, old: str, new: str) -> None:
    sound.mp3(music / old, 1)
    directory = await mismo.added(music)
    await mismo.scanned(directory["id"])
    before = await by_path(mismo)
    (music / old).rename(music / new)
    await mismo.scanned(directory["id"])
    assert await by_path(mismo) == {new: before[old]}


async def test_better_encode_at_the_same_place_is_the_same_track(mismo: Running, music: Path) -> None:
    sound.mp3(music / "a.mp3", 1)
    directory = await mismo.added(music)
    await mismo.scanned(directory["id"])
    (before,) = (await mismo.client.get("/api/tracks"))["data"]
    await mismo.client.patch(f"/api/tracks/{before['id']}", {"rating": 4})
    (music / "a.mp3").unlink()
    sound.mp3(music / "a.mp3", 2, frames=60)
    await mismo.scanned(directory["id"])
    (after,) = (await mismo.client.get("/api/tracks"))["data"]
    assert (after["id"], after["rating"]) == (before["id"], 4)
    assert after["audio_hash"] != before["audio_hash"]


async def test_directory_removed_and_added_again_has_its_tracks_back(mismo: Running, music: Path) -> None:
    sound.mp3(music / "a.mp3", 1)
    directory = await mismo.added(music)
    await mismo.scanned(directory["id"])
    before = (await mismo.client.get("/api/tracks"))["data"]
    await mismo.client.delete(f"/api/library/directories/{directory['id']}")
    (removed,) = (await mismo.client.get("/api/tracks"))["data"]
    assert (removed["is_missing"], removed["missing_reason"]) == (True, "removed")
    again = await mismo.added(music)
    assert again["id"] == directory["id"]
    assert (await mismo.client.get("/api/tracks"))["data"] == before


async def test_full_scan_finds_audio_that_changed_under_an_unchanged_time(mismo: Running, music: Path) -> None:
    file = sound.mp3(music / "a.mp3", 1)
    directory = await mismo.added(music)
    await mismo.scanned(directory["id"])
    (before,) = (await mismo.client.get("/api/tracks"))["data"]
    status = file.stat()
    content = bytearray(file.read_bytes())
    content[5000] ^= 1
    with file.open("r+b") as stream:
        stream.write(content)
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert (await mismo.scanned(directory["id"]))["counts"]["unchanged"] == 1
    assert (await mismo.scanned(directory["id"], strategy="full"))["counts"]["updated"] == 1
    (after,) = (await mismo.client.get("/api/tracks"))["data"]
    assert (after["id"], after["audio_hash"] != before["audio_hash"]) == (before["id"], True)


async def test_fast_scan_leaves_hashes_to_the_background(mismo: Running, music: Path) -> None:
    sound.mp3(music / "a.mp3", 1, TIT2="A")
    directory = await mismo.added(music)
    async with mismo.socket("track:*") as socket:
        await mismo.scanned(directory["id"], strategy="fast")
        added = await socket.named("track:added")
        hashed = await socket.named("track:updated")
    assert added["data"]["tracks"][0]["title"] == "A"
    assert hashed["data"]["tracks"][0]["audio_hash"]


async def test_files_that_are_away_while_they_are_hashed_in_the_background_are_hashed_later(
    mismo: Running, music: Path
) -> None:
    for number in range(5):
        sound.mp3(music / "a" / f"{number}.mp3", number)
    directory = await mismo.added(music)
    gate = Gate(mismo, free=1)  # the scan reads, and the background waits
    async with mismo.socket("track:updated") as socket:
        await mismo.scanned(directory["id"], strategy="fast")
        await gate.reached.wait()
        (music / "a").rename(music / "b")
        gate.is_open.set()
        await mismo.app.scanner.next_end(1.0)
        (music / "b").rename(music / "a")
        await mismo.scanned(directory["id"], strategy="hybrid")
        await socket.named("track:updated")
    tracks = (await mismo.client.get("/api/tracks"))["data"]
    assert len({track["audio_hash"] for track in tracks} - {None}) == 5
