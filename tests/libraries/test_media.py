"""Drives that go and come back: nothing of the library is lost, and nothing is done for each track."""

# a test may block its own loop

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from server.config import Config
from tests.libraries.remounting import loop
from tests.support import sound
from tests.support.application import Running, running
from tests.support.tmpfs import Drive, drive, needs_mounting


@pytest.fixture
def usb(tmp_path: Path) -> Iterator[Drive]:
    needs_mounting()
    with drive(tmp_path / "usb") as found:
        yield found


@pytest.fixture
async def library(mismo: Running, usb: Drive) -> AsyncIterator[dict[str, Any]]:
    """A directory on a drive with three tracks, scanned."""
    for number in range(3):
        sound.mp3(usb.place / "album" / f"{number}.mp3", number, TIT2=f"Title {number}")
    directory = await mismo.added(usb.place)
    await mismo.scanned(directory["id"])
    yield directory


async def tracks(mismo: Running) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = (await mismo.client.get("/api/tracks", sort="file_name", limit=1000))["data"]
    return listed


def apply(copy: dict[str, Any], page: dict[str, Any]) -> None:
    """What a client does with a page of a delta sync."""
    for track in (*page["added"], *page["updated"]):
        copy[track["id"]] = track
    for track_id in page["deleted"]:
        del copy[track_id]


async def synced(mismo: Running, copy: dict[str, Any], since: int, limit: int = 2) -> int:
    """Bring a copy up to date, page by page; returns the number it is true for."""
    while True:
        page = (await mismo.client.get("/api/library", since=since, limit=limit))["data"]
        apply(copy, page)
        since = page["seq"]
        if not page["has_more"]:
            return since


async def test_unplugging_is_one_event_and_changes_nothing_but_how_tracks_read(
    mismo: Running, library: dict[str, Any], usb: Drive
) -> None:
    before = await tracks(mismo)
    async with mismo.socket("library:media:*", "track:*") as socket:
        usb.unplug()
        gone = await socket.named("library:media:disconnected")
        assert (gone["data"]["track_count"], gone["data"]["directory"]["unavailable_reason"]) == (3, "empty")
        during = await tracks(mismo)
        usb.plug()
        back = await socket.named("library:media:connected")
        assert back["data"]["track_count"] == 3
        assert [event["event"] for event in socket.events] == [
            "library:media:disconnected",
            "library:media:connected",
        ]
    assert [(track["is_missing"], track["missing_reason"]) for track in during] == [(True, "media")] * 3
    reachable = {"is_missing": False, "missing_reason": None, "missing_since": None}
    assert [{**track, **reachable} for track in during] == before
    assert await tracks(mismo) == before


async def test_return_is_followed_by_a_scan_that_opens_nothing(
    mismo: Running, library: dict[str, Any], usb: Drive
) -> None:
    async with mismo.socket("library:directory:scan:*", "library:media:*") as socket:
        usb.unplug()
        await socket.named("library:media:disconnected")
        usb.plug()
        complete = await socket.named("library:directory:scan:complete")
    counts = complete["data"]["scan"]["counts"]
    assert (counts["unchanged"], counts["found"], counts["added"], counts["missing"]) == (3, 3, 0, 0)
    assert complete["data"]["scan"]["strategy"] == "hybrid"


async def test_drive_that_was_absent_at_the_start_is_noticed_when_it_comes(config: Config, usb: Drive) -> None:
    sound.mp3(usb.place / "one.mp3", 1)
    async with running(config) as first:
        directory = await first.added(usb.place)
        await first.scanned(directory["id"])
        async with first.socket("library:media:*") as socket:
            usb.unplug()
            await first.client.post(f"/api/library/directories/{directory['id']}/check-availability")
            await socket.named("library:media:disconnected")
    async with running(config) as second, second.socket("library:media:*") as socket:
        usb.plug()
        await socket.named("library:media:connected")
        assert all(not track["is_missing"] for track in await tracks(second))


async def test_another_drive_at_the_same_place_isnt_taken_for_the_first(
    mismo: Running, library: dict[str, Any], usb: Drive, tmp_path: Path
) -> None:
    async with mismo.socket("library:media:*") as socket:
        usb.unplug()
        await socket.named("library:media:disconnected")
        with drive(tmp_path / "other") as other:
            sound.mp3(other.medium / "holiday.mp3", 77)
            stranger = Drive(other.medium, usb.place)
            stranger.plug()
            answer = await mismo.client.post(f"/api/library/directories/{library['id']}/check-availability")
            assert answer["data"]["unavailable_reason"] == "other_media"
            refused = await mismo.client.request("POST", f"/api/scan/library/{library['id']}", {})
            assert refused.status == 409
            stranger.unplug()
        usb.plug()
        await socket.named("library:media:connected")
    assert [track["is_missing"] for track in await tracks(mismo)] == [False] * 3


async def test_delta_sync_equals_a_fresh_copy_after_every_coming_and_going(
    mismo: Running, library: dict[str, Any], usb: Drive, tmp_path: Path
) -> None:
    sound.mp3(tmp_path / "fixed" / "stays.mp3", 50)
    fixed = await mismo.added(tmp_path / "fixed")
    await mismo.scanned(fixed["id"])
    copy: dict[str, Any] = {}
    since = await synced(mismo, copy, 0)
    assert copy == {track["id"]: track for track in await tracks(mismo)}
    async with mismo.socket("library:media:*", "library:directory:scan:complete") as socket:
        usb.unplug()
        await socket.named("library:media:disconnected")
        since = await synced(mismo, copy, since)
        assert copy == {track["id"]: track for track in await tracks(mismo)}
        (first, *_) = await tracks(mismo)
        await mismo.client.patch(f"/api/tracks/{first['id']}", {"rating": 5})
        usb.plug()
        await socket.named("library:directory:scan:complete")
    since = await synced(mismo, copy, since)
    assert copy == {track["id"]: track for track in await tracks(mismo)}
    await mismo.client.delete(f"/api/library/directories/{library['id']}")
    since = await synced(mismo, copy, since)
    assert copy == {track["id"]: track for track in await tracks(mismo)}
    assert {track["missing_reason"] for track in copy.values()} == {None, "removed"}
    await mismo.added(usb.place)
    since = await synced(mismo, copy, since)
    fresh: dict[str, Any] = {}
    await synced(mismo, fresh, 0)
    assert copy == fresh == {track["id"]: track for track in await tracks(mismo)}
    assert since == (await mismo.client.get("/api/library", since=since))["data"]["seq"]


async def test_drive_that_goes_during_a_scan_fails_it_and_wipes_nothing(
    mismo: Running, library: dict[str, Any], usb: Drive
) -> None:
    read = mismo.app.workers.read
    sound.mp3(usb.place / "new.mp3", 99)

    async def unplug_and_read(request: Any) -> Any:
        usb.unplug()
        mismo.app.workers.read = read  # type: ignore[method-assign] # only once
        return await read(request)

    mismo.app.workers.read = unplug_and_read  # type: ignore[method-assign] # the moment between walking and reading
    scan = await mismo.scanned(library["id"])
    assert scan["state"] == "failed"
    assert "can't be reached" in scan["error"]
    assert scan["counts"]["missing"] == 0
    async with mismo.socket("library:directory:scan:complete") as socket:
        usb.plug()
        complete = await socket.named("library:directory:scan:complete")
    assert complete["data"]["scan"]["counts"]["added"] == 1
    assert [track["is_missing"] for track in await tracks(mismo)] == [False] * 4


async def test_file_that_had_gone_before_its_drive_went_may_come_back_elsewhere(
    mismo: Running, library: dict[str, Any], usb: Drive, music: Path
) -> None:
    (before,) = [track for track in await tracks(mismo) if track["file_name"] == "1.mp3"]
    shutil.move(usb.place / "album" / "1.mp3", music / "kept.mp3")
    assert (await mismo.scanned(library["id"]))["counts"]["missing"] == 1
    async with mismo.socket("library:media:*") as socket:
        usb.unplug()
        await socket.named("library:media:disconnected")
        elsewhere = await mismo.added(music)
        assert (await mismo.scanned(elsewhere["id"]))["counts"]["moved"] == 1
        (after,) = [track for track in await tracks(mismo) if track["file_name"] == "kept.mp3"]
        assert (after["id"], after["is_missing"]) == (before["id"], False)
        usb.plug()
        await socket.named("library:media:connected")


async def test_drive_that_goes_and_comes_again_and_again_changes_nothing(mismo: Running, usb: Drive) -> None:
    assert len(await loop(mismo, usb, 4)) == 4


async def test_tracks_go_and_come_without_a_row_being_written(
    mismo: Running, library: dict[str, Any], usb: Drive
) -> None:
    rows_before = await mismo.app.database.fetch_value("SELECT count(*) FROM changes")
    async with mismo.socket("library:media:*") as socket:
        usb.unplug()
        gone = await socket.named("library:media:disconnected")
        usb.plug()
        back = await socket.named("library:media:connected")
    assert back["seq"] - gone["seq"] == 3  # one number for each track, and no other event
    assert await mismo.app.database.fetch_value("SELECT count(*) FROM changes") == rows_before
