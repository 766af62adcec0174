"""Drives that are mounted inside a library directory: while one is away, nothing on it is called missing."""

# a test may block its own loop

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from server.config import Config
from tests.support import sound
from tests.support.application import Running, running
from tests.support.tmpfs import Drive, needs_mounting, tmpfs


@pytest.fixture
def usb(tmp_path: Path, music: Path) -> Iterator[Drive]:
    """A drive that is plugged in at a folder of the music."""
    needs_mounting()
    with tmpfs(tmp_path / "medium") as medium:
        found = Drive(medium, music / "sticks" / "usb")
        found.plug()
        yield found
        if found.is_in:
            found.unplug()


async def tracks(mismo: Running) -> dict[str, dict[str, Any]]:
    listed = (await mismo.client.get("/api/tracks", sort="file_name", limit=1000))["data"]
    return {track["relative_path"]: track for track in listed}


async def filled(mismo: Running, music: Path, usb: Drive) -> dict[str, Any]:
    """A scanned directory with a track beside the drive and two on it."""
    sound.mp3(music / "beside.mp3", "beside")
    for name in ("one", "two"):
        sound.mp3(usb.place / "album" / f"{name}.mp3", name)
    directory = await mismo.added(music)
    assert (await mismo.scanned(directory["id"]))["counts"]["added"] == 3
    return directory


async def failures(mismo: Running, scan: dict[str, Any]) -> list[tuple[str, str]]:
    found = (await mismo.client.get(f"/api/scan/{scan['id']}"))["data"]["failures"]
    return [(failure["path"], failure["code"]) for failure in found]


@pytest.mark.parametrize("strategy", ["hybrid", "full", "fast"])
async def test_drive_that_was_unmounted_inside_a_directory_keeps_its_tracks(
    mismo: Running, music: Path, usb: Drive, strategy: str
) -> None:
    directory = await filled(mismo, music, usb)
    before = await tracks(mismo)
    usb.unplug()
    (music / "beside.mp3").unlink()
    scan = await mismo.scanned(directory["id"], strategy=strategy)
    assert (scan["state"], scan["counts"]["missing"]) == ("complete", 1)
    assert await failures(mismo, scan) == [("sticks/usb", "unmounted")]
    during = await tracks(mismo)
    assert {path: track["is_missing"] for path, track in during.items()} == {
        "beside.mp3": True, "sticks/usb/album/one.mp3": False, "sticks/usb/album/two.mp3": False,
    }  # fmt: skip
    again = await mismo.scanned(directory["id"], strategy=strategy, path="sticks")
    assert (again["counts"]["missing"], await failures(mismo, again)) == (0, [("sticks/usb", "unmounted")])
    usb.plug()
    back = await mismo.scanned(directory["id"], strategy="hybrid")
    assert (back["counts"]["unchanged"], back["counts"]["failed"]) == (2, 0)
    after = await tracks(mismo)
    assert {path: after[path] for path in after if path != "beside.mp3"} == {
        path: before[path] for path in before if path != "beside.mp3"
    }


async def test_mount_point_that_goes_with_its_drive_says_nothing_either(
    mismo: Running, music: Path, usb: Drive
) -> None:
    directory = await filled(mismo, music, usb)
    usb.unplug()
    shutil.rmtree(music / "sticks")
    scan = await mismo.scanned(directory["id"])
    assert (scan["counts"]["missing"], await failures(mismo, scan)) == (0, [("sticks/usb", "unmounted")])
    # What somebody leaves in the mount point meanwhile isn't what was on the drive.
    sound.mp3(usb.place / "stray.mp3", "stray")
    scan = await mismo.scanned(directory["id"])
    assert (scan["counts"]["missing"], scan["counts"]["added"]) == (0, 1)
    assert not any(track["is_missing"] for track in (await tracks(mismo)).values())


async def test_drive_that_went_while_the_server_was_off_keeps_its_tracks(
    config: Config, music: Path, usb: Drive
) -> None:
    async with running(config) as server:
        directory = await filled(server, music, usb)
    usb.unplug()
    async with running(config) as server:
        assert (await server.scanned(directory["id"]))["counts"]["missing"] == 0
        assert not any(track["is_missing"] for track in (await tracks(server)).values())


async def test_copy_of_a_file_on_a_drive_that_is_away_is_a_track_of_its_own(
    mismo: Running, music: Path, usb: Drive
) -> None:
    directory = await filled(mismo, music, usb)
    before = await tracks(mismo)
    shutil.copy(usb.place / "album" / "one.mp3", music.parent / "copy.mp3")
    usb.unplug()
    (music.parent / "copy.mp3").rename(music / "copy.mp3")
    counts = (await mismo.scanned(directory["id"]))["counts"]
    assert (counts["added"], counts["moved"], counts["missing"]) == (1, 0, 0)
    usb.plug()
    assert (await mismo.scanned(directory["id"]))["counts"]["unchanged"] == 4
    after = await tracks(mismo)
    assert {path: after[path]["id"] for path in before} == {path: before[path]["id"] for path in before}


async def test_track_isnt_handed_over_to_a_copy_on_a_drive_that_is_away(
    mismo: Running, music: Path, usb: Drive
) -> None:
    directory = await filled(mismo, music, usb)
    shutil.copy(music / "beside.mp3", usb.place / "copy.mp3")
    await mismo.scanned(directory["id"])
    before = await tracks(mismo)
    usb.unplug()
    (music / "beside.mp3").unlink()
    counts = (await mismo.scanned(directory["id"]))["counts"]
    assert (counts["moved"], counts["missing"]) == (0, 1)
    after = await tracks(mismo)
    assert {path: track["id"] for path, track in after.items()} == {path: track["id"] for path, track in before.items()}


async def test_files_deleted_from_a_drive_that_is_there_are_missing(mismo: Running, music: Path, usb: Drive) -> None:
    directory = await filled(mismo, music, usb)
    shutil.rmtree(usb.place / "album")
    scan = await mismo.scanned(directory["id"])
    assert (scan["counts"]["missing"], await failures(mismo, scan)) == (2, [])


async def test_folder_above_a_drive_may_be_renamed(mismo: Running, music: Path, usb: Drive) -> None:
    directory = await filled(mismo, music, usb)
    before = await tracks(mismo)
    (music / "sticks").rename(music / "drives")
    usb.place = music / "drives" / "usb"
    scan = await mismo.scanned(directory["id"])
    assert (scan["counts"]["moved"], await failures(mismo, scan)) == (2, [])
    after = await tracks(mismo)
    assert after["drives/usb/album/one.mp3"]["id"] == before["sticks/usb/album/one.mp3"]["id"]


async def test_tracks_of_a_drive_that_left_for_good_are_missing_once_the_directory_is_added_anew(
    mismo: Running, music: Path, usb: Drive
) -> None:
    directory = await filled(mismo, music, usb)
    before = await tracks(mismo)
    usb.unplug()
    await mismo.client.delete(f"/api/library/directories/{directory['id']}")
    await mismo.added(music)
    scan = await mismo.scanned(directory["id"])
    assert (scan["counts"]["missing"], await failures(mismo, scan)) == (2, [])
    after = await tracks(mismo)
    assert {path: track["id"] for path, track in after.items()} == {path: track["id"] for path, track in before.items()}


async def test_watched_drive_goes_and_comes_and_is_followed_again(config: Config, music: Path, usb: Drive) -> None:
    async with running(config, is_watching=True) as server:
        async with server.socket("library:directory:updated") as socket:
            await filled(server, music, usb)
            await socket.until(lambda event: event["data"]["directory"]["watch_state"] != "off")
            await server.app.scanner.idle()
        async with server.socket("track:*", "library:directory:scan:complete") as socket:
            usb.unplug()
            looked = await socket.named("library:directory:scan:complete")
            assert looked["data"]["scan"]["counts"]["missing"] == 0
            sound.mp3(usb.medium / "album" / "three.mp3", "three")  # by another computer
            usb.plug()
            await socket.until(lambda event: is_new(event, "three.mp3"))
            sound.mp3(usb.place / "album" / "four.mp3", "four")
            await socket.until(lambda event: is_new(event, "four.mp3"))
        assert [event["event"] for event in socket.events if event["event"].startswith("track:")] == ["track:added"] * 2
        assert not any(track["is_missing"] for track in (await tracks(server)).values())


def is_new(event: dict[str, Any], name: str) -> bool:
    return event["event"] == "track:added" and name in [track["file_name"] for track in event["data"]["tracks"]]
