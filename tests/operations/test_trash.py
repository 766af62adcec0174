"""Deleting: to the trash and back, for good, and emptying the trash."""

from __future__ import annotations

import os
from pathlib import Path

import orjson

from tests.support.application import Running
from tests.support.library import audio_on_disk, done, library, tree


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
