"""One file by itself: added now, or verified."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import sound
from tests.support.application import Running


async def test_one_file_is_added_now_and_only_once(mismo: Running, music: Path) -> None:
    file = sound.mp3(music / "a" / "one.mp3", 1, TIT2="One")
    sound.mp3(music / "two.mp3", 2)
    await mismo.added(music)
    first = (await mismo.client.post("/api/tracks", {"file_path": str(file)}, status=201))["data"]
    again = (await mismo.client.post("/api/tracks", {"file_path": str(file)}, status=200))["data"]
    assert (first["title"], first["relative_path"]) == ("One", "a/one.mp3")
    assert again == first
    assert (await mismo.client.get("/api/tracks"))["pagination"]["total"] == 1


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("relative.mp3", "absolute"),
        ("{music}/none.mp3", "doesn't exist"),
        ("{music}/../outside.mp3", "must not lead upwards"),
        ("{music}/link.mp3", "isn't inside"),
        ("{music}/text.txt", "isn't an audio file"),
        ("{music}/.mismo-trash/x.mp3", "isn't inside"),
    ],
)
async def test_what_isnt_an_audio_file_of_the_library_is_refused(
    mismo: Running, music: Path, path: str, message: str
) -> None:
    outside = sound.mp3(music.parent / "outside.mp3", 1)
    sound.mp3(music / ".mismo-trash" / "x.mp3", 1)
    (music / "link.mp3").symlink_to(outside)
    await mismo.added(music)
    answer = await mismo.client.request("POST", "/api/tracks", {"file_path": path.format(music=music)})
    assert answer.status == 422
    assert message in answer.json["detail"]
    assert str(music) not in answer.json["detail"]


async def test_verifying_tells_what_has_changed_and_changes_nothing(mismo: Running, music: Path) -> None:
    file = sound.mp3(music / "one.mp3", 1, TIT2="One")
    directory = await mismo.added(music)
    await mismo.scanned(directory["id"])
    (music / "notes.txt").touch()
    (track,) = (await mismo.client.get("/api/tracks"))["data"]
    url = f"/api/tracks/{track['id']}/verify"
    same = (await mismo.client.get(url))["data"]
    assert (same["present"], same["same_size"], same["same_audio_hash"]) == (True, True, True)
    sound.retag(file, TIT2="A much longer title" * 200)
    retagged = (await mismo.client.get(url))["data"]
    assert (retagged["present"], retagged["same_size"], retagged["same_audio_hash"]) == (True, False, True)
    sound.mp3(file, 2)
    other = (await mismo.client.get(url))["data"]
    assert (other["present"], other["same_audio_hash"]) == (True, False)
    file.unlink()
    assert (await mismo.client.get(url))["data"]["present"] is False
    assert (await mismo.client.get("/api/tracks"))["data"] == [track]
