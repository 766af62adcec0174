"""Moving and renaming from outside: REST in; files, rows and events out."""

from __future__ import annotations

import os
from pathlib import Path

from tests.support import sound
from tests.support.application import Running
from tests.support.library import audio_on_disk, done, library, temporaries, tree


async def test_moved_file_keeps_its_track_and_is_announced_once(mismo: Running, music: Path) -> None:
    lib = await library(mismo, music, "one.mp3", "two.mp3")
    before = audio_on_disk(music)
    await mismo.settled()
    async with mismo.socket("*") as socket:
        answer = await mismo.client.post(
            f"/api/tracks/{lib.ids['one.mp3']}/move",
            {"library_directory_id": lib.directory_id, "destination_path": "new/folder/uno.mp3"},
            status=202,
        )
        operation = await done(mismo, answer)
        await socket.named("file_operation:complete")
        scan = await mismo.scanned(lib.directory_id)
        await socket.named("library:directory:scan:complete")
    assert operation["from"]["path"] == "one.mp3"
    assert operation["to"]["path"] == "new/folder/uno.mp3"
    assert scan["counts"]["unchanged"] == 2
    (moved,) = [event for event in socket.events if event["event"].startswith("track:")]
    assert moved["event"] == "track:moved"
    assert moved["data"]["moves"] == [{"id": lib.ids["one.mp3"], "from": "one.mp3", "to": "new/folder/uno.mp3"}]
    track = (await mismo.client.get(f"/api/tracks/{lib.ids['one.mp3']}"))["data"]
    assert (track["relative_path"], track["is_missing"]) == ("new/folder/uno.mp3", False)
    assert audio_on_disk(music) == before
    assert temporaries(music) == []


async def test_move_to_another_directory_and_back_leaves_the_tree_as_it_was(mismo: Running, music: Path) -> None:
    other = music.parent / "other"
    other.mkdir()
    lib = await library(mismo, music, "one.mp3")
    target = await mismo.added(other)
    before = tree(music), tree(other)
    answer = await mismo.client.post(
        f"/api/tracks/{lib.ids['one.mp3']}/move",
        {"library_directory_id": target["id"], "destination_path": "a/b/one.mp3"},
        status=202,
    )
    operation = await done(mismo, answer)
    track = (await mismo.client.get(f"/api/tracks/{lib.ids['one.mp3']}"))["data"]
    assert (track["library_directory_id"], track["relative_path"]) == (target["id"], "a/b/one.mp3")
    await done(mismo, await mismo.client.post(f"/api/operations/{operation['id']}/undo", status=202))
    assert (tree(music), tree(other)) == before
    track = (await mismo.client.get(f"/api/tracks/{lib.ids['one.mp3']}"))["data"]
    assert (track["library_directory_id"], track["relative_path"]) == (lib.directory_id, "one.mp3")
    assert (await mismo.client.get(f"/api/operations/{operation['id']}"))["data"]["state"] == "undone"
    await mismo.client.post(f"/api/operations/{operation['id']}/undo", status=409)


async def test_directory_whose_last_file_moves_away_is_empty_and_not_unplugged(mismo: Running, music: Path) -> None:
    other = music.parent / "other"
    other.mkdir()
    lib = await library(mismo, music, "one.mp3")
    target = await mismo.added(other)
    body = {"library_directory_id": target["id"], "destination_path": "one.mp3"}
    await done(mismo, await mismo.client.post(f"/api/tracks/{lib.ids['one.mp3']}/move", body, status=202))
    path = f"/api/library/directories/{lib.directory_id}"
    looked_at = (await mismo.client.post(f"{path}/check-availability"))["data"]
    assert (looked_at["is_available"], looked_at["unavailable_reason"]) == (True, None)
    scan = await mismo.scanned(lib.directory_id)
    assert (scan["state"], scan["counts"]["missing"]) == ("complete", 0)
    sound.mp3(music / "two.mp3", 2)
    assert (await mismo.scanned(lib.directory_id))["counts"]["added"] == 1
    (music / "two.mp3").unlink()
    looked_at = (await mismo.client.post(f"{path}/check-availability"))["data"]
    assert (looked_at["is_available"], looked_at["unavailable_reason"]) == (False, "empty")


async def test_place_that_is_no_new_file_is_refused_by_the_name_of_its_field(mismo: Running, music: Path) -> None:
    lib = await library(mismo, music, "one.mp3")
    track = f"/api/tracks/{lib.ids['one.mp3']}"

    async def refused(verb: str, **body: str) -> tuple[str, str]:
        answer = await mismo.client.post(f"{track}/{verb}", body, status=422)
        (problem,) = answer["errors"]
        return problem["field"], problem["message"]

    here, name = lib.directory_id, "destination_path"
    for path, message in (("folder/", "must end in the name of a file"), ("one.mp3", "is where the file lies already")):
        assert await refused("move", library_directory_id=here, destination_path=path) == (name, message)
    assert await refused("rename", new_name="one") == ("new_name", "is where the file lies already")


async def test_rename_keeps_the_extension_and_takes_side_cars_along(mismo: Running, music: Path) -> None:
    lib = await library(mismo, music, "a/one.mp3")
    for name in ("one.lrc", "one.jpg", "cover.jpg"):
        (music / "a" / name).write_text(name)
    answer = await mismo.client.post(f"/api/tracks/{lib.ids['a/one.mp3']}/rename", {"new_name": "One"}, status=202)
    operation = await done(mismo, answer)
    assert sorted(os.listdir(music / "a")) == ["One.jpg", "One.lrc", "One.mp3", "cover.jpg"]
    await done(mismo, await mismo.client.post(f"/api/operations/{operation['id']}/undo", status=202))
    assert sorted(os.listdir(music / "a")) == ["cover.jpg", "one.jpg", "one.lrc", "one.mp3"]


async def test_side_car_that_two_tracks_share_stays(mismo: Running, music: Path) -> None:
    lib = await library(mismo, music, "one.mp3")
    (music / "one.flac").write_bytes(b"fLaC")
    (music / "one.lrc").write_text("la")
    await done(
        mismo, await mismo.client.post(f"/api/tracks/{lib.ids['one.mp3']}/rename", {"new_name": "x"}, status=202)
    )
    assert sorted(os.listdir(music)) == ["one.flac", "one.lrc", "x.mp3"]


async def test_existing_target_is_never_overwritten(mismo: Running, music: Path) -> None:
    lib = await library(mismo, music, "one.mp3", "two.mp3")
    before = tree(music)
    answer = await mismo.client.post(f"/api/tracks/{lib.ids['one.mp3']}/rename", {"new_name": "two"}, status=202)
    operation = await done(mismo, answer, "failed")
    assert operation["error"]["code"] == "target_exists"
    assert tree(music) == before
    answer = await mismo.client.post(
        f"/api/tracks/{lib.ids['one.mp3']}/rename", {"new_name": "two", "on_conflict": "suffix"}, status=202
    )
    assert (await done(mismo, answer))["to"]["path"] == "two (2).mp3"


async def test_file_that_changed_since_the_last_scan_isnt_touched(mismo: Running, music: Path) -> None:
    lib = await library(mismo, music, "one.mp3")
    with (music / "one.mp3").open("ab") as file:
        file.write(b"more")
    before = tree(music)
    answer = await mismo.client.post(f"/api/tracks/{lib.ids['one.mp3']}/rename", {"new_name": "x"}, status=202)
    operation = await done(mismo, answer, "failed")
    assert operation["error"]["code"] == "changed_on_disk"
    assert tree(music) == before
    await mismo.scanned(lib.directory_id)
    await done(mismo, await mismo.client.post(f"/api/operations/{operation['id']}/retry", status=202))
    assert (music / "x.mp3").exists()


async def test_atomic_batch_goes_back_when_one_of_it_fails(mismo: Running, music: Path) -> None:
    lib = await library(mismo, music, "a.mp3", "b.mp3", "c.mp3")
    (music / "taken.mp3").mkdir()
    before = tree(music)
    wanted = [
        {"kind": "rename", "track_id": lib.ids[f"{name}.mp3"], "new_name": new}
        for name, new in (("a", "x"), ("b", "y"), ("c", "taken"))
    ]
    batch = (await mismo.client.post("/api/operations", {"operations": wanted}, status=202))["data"]
    ended = await mismo.app.operations.finished([item["id"] for item in batch["operations"]])
    assert [item.error_code for item in ended] == ["batch_failed", "batch_failed", "target_exists"]
    assert tree(music) == before
    each = (await mismo.client.post("/api/operations", {"operations": wanted, "atomic": False}, status=202))["data"]
    ended = await mismo.app.operations.finished([item["id"] for item in each["operations"]])
    assert [item.state for item in ended] == ["done", "done", "failed"]
    assert sorted(os.listdir(music)) == ["c.mp3", "taken.mp3", "x.mp3", "y.mp3"]


async def test_operations_on_one_file_run_in_their_order(mismo: Running, music: Path) -> None:
    lib = await library(mismo, music, "0.mp3")
    queued = [
        await mismo.client.post(f"/api/tracks/{lib.ids['0.mp3']}/rename", {"new_name": str(number)}, status=202)
        for number in range(1, 20)
    ]
    await mismo.app.operations.finished([answer["data"]["id"] for answer in queued])
    assert os.listdir(music) == ["19.mp3"]
    journal = await mismo.client.get(f"/api/operations?track_id={lib.ids['0.mp3']}&status=done&limit=5")
    assert [item["to"]["path"] for item in journal["data"]] == [f"{number}.mp3" for number in range(19, 14, -1)]
    assert journal["pagination"]["total"] == 19


async def test_place_that_an_earlier_operation_leaves_is_free_for_a_later_one(mismo: Running, music: Path) -> None:
    lib = await library(mismo, music, "a.mp3", "b.mp3")
    first = await mismo.client.post(f"/api/tracks/{lib.ids['a.mp3']}/rename", {"new_name": "c"}, status=202)
    second = await mismo.client.post(f"/api/tracks/{lib.ids['b.mp3']}/rename", {"new_name": "a"}, status=202)
    await done(mismo, first)
    await done(mismo, second)
    assert sorted(os.listdir(music)) == ["a.mp3", "c.mp3"]
