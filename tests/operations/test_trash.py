"""Deleting: to the trash and back, for good, and emptying the trash."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import orjson

from server.config import Config
from server.operations.retention import TrashRetention
from server.operations.trash import TrashService
from tests.support.application import Running, running
from tests.support.clock import MovedClock
from tests.support.library import audio_on_disk, done, library, tree

PATIENCE_SECONDS = 60


async def test_deleted_file_lies_in_the_trash_and_its_track_waits(mismo: Running, music: Path) -> None:
    lib = await library(mismo, music, "a/one.mp3", "two.mp3")
    before, audio = tree(music), audio_on_disk(music)
    track_id = lib.ids["a/one.mp3"]
    await mismo.client.delete(f"/api/tracks/{track_id}/file", status=422)
    operation = await done(mismo, await mismo.client.delete(f"/api/tracks/{track_id}/file?confirm=true", status=202))
    assert operation["to"]["path"] == f".mismo-trash/{operation['id']}/one.mp3"
    assert audio_on_disk(music) == audio
    manifest = orjson.loads((music / ".mismo-trash" / operation["id"] / "manifest.json").read_bytes())
    assert (manifest["track_id"], manifest["files"]) == (track_id, [{"name": "one.mp3", "from": "a/one.mp3"}])
    track = (await mismo.client.get(f"/api/tracks/{track_id}"))["data"]
    assert (track["is_missing"], track["missing_reason"]) == (True, "file")
    (entry,) = (await mismo.client.get(f"/api/library/directories/{lib.directory_id}/trash"))["data"]
    assert (entry["operation_id"], entry["files"]) == (operation["id"], ["a/one.mp3"])
    assert (await mismo.scanned(lib.directory_id))["counts"]["found"] == 1
    await mismo.settled()
    async with mismo.socket("track:*") as socket:
        await done(mismo, await mismo.client.post(f"/api/operations/{operation['id']}/undo", status=202))
        restored = await socket.named("track:restored")
    assert restored["data"]["ids"] == [track_id]
    assert tree(music) == before
    track = (await mismo.client.get(f"/api/tracks/{track_id}"))["data"]
    assert (track["is_missing"], track["relative_path"]) == (False, "a/one.mp3")


async def test_permanent_deletion_leaves_nothing_and_cant_be_undone(mismo: Running, music: Path) -> None:
    lib = await library(mismo, music, "one.mp3", "two.mp3")
    answer = await mismo.client.delete(
        f"/api/tracks/{lib.ids['one.mp3']}/file", {"confirm": True, "permanent": True}, status=202
    )
    operation = await done(mismo, answer)
    assert os.listdir(music) == ["two.mp3"]
    problem = await mismo.client.post(f"/api/operations/{operation['id']}/undo", status=409)
    assert problem["code"] == "wrong_state"


async def test_emptied_trash_cant_be_undone(mismo: Running, music: Path) -> None:
    lib = await library(mismo, music, "one.mp3")
    operation = await done(
        mismo, await mismo.client.delete(f"/api/tracks/{lib.ids['one.mp3']}/file", {"confirm": True}, status=202)
    )
    trash = f"/api/library/directories/{lib.directory_id}/trash"
    await mismo.client.delete(trash, status=422)
    assert (await mismo.client.delete(f"{trash}?confirm=true&older_than_days=1"))["data"]["removed"] == 0
    assert (await mismo.client.delete(trash, {"confirm": True}))["data"]["removed"] == 1
    assert os.listdir(music / ".mismo-trash") == []
    failed = await done(mismo, await mismo.client.post(f"/api/operations/{operation['id']}/undo", status=202), "failed")
    assert failed["error"]["code"] == "not_in_trash"


async def test_trash_listing_names_files_as_they_were(mismo: Running, music: Path) -> None:
    name = "Bj\u00f6rk/100% caf\u00e9.mp3"
    lib = await library(mismo, music, name)
    (music / "Bj\u00f6rk" / "100% caf\u00e9.lrc").write_text("la")
    answer = await mismo.client.delete(f"/api/tracks/{lib.ids[name]}/file", {"confirm": True}, status=202)
    operation = await done(mismo, answer)
    size = sum(path.stat().st_size for path in (music / ".mismo-trash" / operation["id"]).glob("100*"))
    (entry,) = (await mismo.client.get(f"/api/library/directories/{lib.directory_id}/trash"))["data"]
    assert entry["files"] == ["Bj\u00f6rk/100% caf\u00e9.lrc", name]
    assert entry["bytes"] == size


async def test_emptying_the_trash_leaves_what_somebody_else_put_there(mismo: Running, music: Path) -> None:
    lib = await library(mismo, music, "one.mp3")
    answer = await mismo.client.delete(f"/api/tracks/{lib.ids['one.mp3']}/file", {"confirm": True}, status=202)
    operation = await done(mismo, answer)
    folder = music / ".mismo-trash" / operation["id"]
    (folder / "own").mkdir()
    (folder / "own" / "note.txt").write_text("mine")
    (music / ".mismo-trash" / "readme.txt").write_text("mine")
    trash = f"/api/library/directories/{lib.directory_id}/trash"
    assert (await mismo.client.delete(trash, {"confirm": True}))["data"]["removed"] == 1
    assert sorted(os.listdir(folder)) == ["own"]
    assert (folder / "own" / "note.txt").exists()
    assert (music / ".mismo-trash" / "readme.txt").exists()
    assert (await mismo.client.get(trash))["data"] == []


async def test_trash_of_a_directory_that_is_away_says_so(mismo: Running, music: Path) -> None:
    lib = await library(mismo, music, "one.mp3")
    os.rename(music, music.with_name("away"))
    trash = f"/api/library/directories/{lib.directory_id}/trash"
    for _ in range(2):  # before and after that was noticed
        assert (await mismo.client.get(trash, status=409))["code"] == "directory_unavailable"
        assert (await mismo.client.delete(trash, {"confirm": True}, status=409))["code"] == "directory_unavailable"
        await mismo.client.post(f"/api/library/directories/{lib.directory_id}/check-availability")


async def test_deleted_files_go_for_good_only_after_the_time_that_the_setting_says(config: Config, music: Path) -> None:
    clock = MovedClock()
    async with running(config, clock) as mismo:
        lib = await library(mismo, music, "one.mp3", "two.mp3")
        app = mismo.app
        trash = TrashService(app.database, app.libraries, app.file_system, clock)
        retention = TrashRetention(trash, app.libraries, app.settings, app.bus)

        async def delete(name: str) -> str:
            answer = await mismo.client.delete(f"/api/tracks/{lib.ids[name]}/file", {"confirm": True}, status=202)
            return str((await done(mismo, answer))["id"])

        await delete("one.mp3")
        clock.move(hours=20 * 24)
        later = await delete("two.mp3")
        clock.move(hours=11 * 24)
        assert await retention.purge() == [], "nothing goes unless somebody has asked for it"
        await mismo.app.settings.put("trash_retention_days", 30)
        async with asyncio.timeout(PATIENCE_SECONDS):
            while os.listdir(music / ".mismo-trash") != [later]:
                await retention.purge()  # the server's own may be in the middle of it
        await done(mismo, await mismo.client.post(f"/api/operations/{later}/undo", status=202))
        assert (music / "two.mp3").exists()
        assert not (music / "one.mp3").exists()


async def test_undo_leaves_what_has_taken_the_place_alone(mismo: Running, music: Path) -> None:
    lib = await library(mismo, music, "one.mp3")
    operation = await done(
        mismo, await mismo.client.delete(f"/api/tracks/{lib.ids['one.mp3']}/file", {"confirm": True}, status=202)
    )
    (music / "one.mp3").write_text("somebody else's")
    before = tree(music)
    undo = await done(mismo, await mismo.client.post(f"/api/operations/{operation['id']}/undo", status=202), "failed")
    assert undo["error"]["code"] == "target_exists"
    assert tree(music) == before
    (music / "one.mp3").unlink()
    await done(mismo, await mismo.client.post(f"/api/operations/{undo['id']}/retry", status=202))
    assert os.listdir(music) == ["one.mp3"]
