"""A scan from outside: REST in, rows and events out."""

from __future__ import annotations

from pathlib import Path

from tests.support import sound
from tests.support.application import Running


async def test_scan_makes_a_track_of_every_file_and_announces_it(mismo: Running, music: Path) -> None:
    sound.mp3(music / "a" / "one.mp3", 1, TIT2="One", TPE1="Björk")
    sound.mp3(music / "two.mp3", 2)
    directory = await mismo.added(music)
    async with mismo.socket("*") as socket:
        scan = await mismo.scanned(directory["id"])
        assert scan["counts"] == {
            "found": 2, "added": 2, "updated": 0, "moved": 0, "restored": 0, "missing": 0, "unchanged": 0, "failed": 0,
        }  # fmt: skip
        complete = await socket.named("library:directory:scan:complete")
        added = [event for event in socket.events if event["event"] == "track:added"]
    assert complete["data"]["scan"]["counts"] == scan["counts"]
    listed = (await mismo.client.get("/api/tracks", sort="title"))["data"]
    assert [track["relative_path"] for track in listed] == ["a/one.mp3", "two.mp3"]
    assert sorted(track["id"] for event in added for track in event["data"]["tracks"]) == sorted(
        track["id"] for track in listed
    )
    assert added[0]["data"]["tracks"][0] in listed


async def test_unchanged_rescan_announces_start_and_end_and_nothing_else(mismo: Running, music: Path) -> None:
    sound.mp3(music / "one.mp3", 1)
    directory = await mismo.added(music)
    await mismo.scanned(directory["id"])
    await mismo.settled()
    async with mismo.socket("*") as socket:
        scan = await mismo.scanned(directory["id"])
        await socket.named("library:directory:scan:complete")
    assert scan["counts"]["unchanged"] == 1
    recorded = [event["event"] for event in socket.events if "seq" in event]
    assert recorded == ["library:directory:scan:started", "library:directory:scan:complete"]


async def test_retagged_and_renamed_file_keeps_its_track(mismo: Running, music: Path) -> None:
    first = sound.mp3(music / "one.mp3", 1, TIT2="One")
    directory = await mismo.added(music)
    await mismo.scanned(directory["id"])
    (before,) = (await mismo.client.get("/api/tracks"))["data"]
    await mismo.client.patch(f"/api/tracks/{before['id']}", {"rating": 4, "tags": ["peak"]})
    second = first.rename(music / "zwei.mp3")
    sound.retag(second, TIT2="Two", TPE1="Someone")
    async with mismo.socket("track:*") as socket:
        scan = await mismo.scanned(directory["id"])
        moved = await socket.named("track:moved")
    assert scan["counts"]["moved"] == 1
    assert moved["data"]["moves"] == [{"id": before["id"], "from": "one.mp3", "to": "zwei.mp3"}]
    (after,) = (await mismo.client.get("/api/tracks"))["data"]
    assert (after["id"], after["title"], after["artist"], after["rating"]) == (before["id"], "Two", "Someone", 4)
