"""What other programs do to the files between the plan and its execution: nothing is lost, nothing overwritten."""

from __future__ import annotations

import os
import random
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.application import Running
from tests.support.library import Library, library, temporaries

CODES = {"changed_on_disk", "vanished", "target_exists", "not_a_folder", "path_outside", "disk_full", "no_such_folder"}


def edit(source: Path, target: Path) -> None:
    with source.open("ab") as file:
        file.write(b"edited")


def replace_by_folder(source: Path, target: Path) -> None:
    source.rename(source.with_name(f"kept {source.name}"))
    source.mkdir()


def replace_by_link(source: Path, target: Path) -> None:
    kept = source.rename(source.with_name(f"kept {source.name}"))
    source.symlink_to(kept)


def take_away(source: Path, target: Path) -> None:
    source.rename(source.with_name(f"kept {source.name}"))


def fill_target(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(source, target)


def block_folder(source: Path, target: Path) -> None:
    target.parent.parent.mkdir(parents=True, exist_ok=True)
    target.parent.write_text("a file where a folder is to be")


MISCHIEF: tuple[Callable[[Path, Path], None], ...] = (
    edit, replace_by_folder, replace_by_link, take_away, fill_target, block_folder,
)  # fmt: skip


def content(folder: Path) -> Counter[bytes]:
    return Counter(
        (Path(parent) / name).read_bytes()
        for parent, _, names in os.walk(folder)
        for name in names
        if not (Path(parent) / name).is_symlink()
    )


async def test_a_hundred_races_lose_and_overwrite_nothing(mismo: Running, music: Path) -> None:
    chance = random.Random(4)
    lib = await library(mismo, music, *(f"{number:03}.mp3" for number in range(100)))
    targets = {name: f"new {number}/{name}" for number, name in enumerate(lib.ids)}
    kinds = {name: chance.choice(MISCHIEF) for name in lib.ids}
    for name, mischief in kinds.items():
        mischief(music / name, music / targets[name])
    before = content(music)
    queued = []
    for name, track_id in lib.ids.items():
        body = {"library_directory_id": lib.directory_id, "destination_path": targets[name]}
        queued.append((await mismo.client.post(f"/api/tracks/{track_id}/move", body, status=202))["data"]["id"])
    ended = await mismo.app.operations.finished(queued)
    assert {(item.state, item.error_code in CODES) for item in ended} == {("failed", True)}
    assert content(music) == before
    assert temporaries(music) == []


@pytest.mark.parametrize("mischief", MISCHIEF)
async def test_file_that_somebody_touches_while_its_move_starts_is_whole(
    mismo: Running, music: Path, mischief: Callable[[Path, Path], None]
) -> None:
    lib: Library = await library(mismo, music, "one.mp3")
    original = (music / "one.mp3").read_bytes()

    class Mischievous:
        def expect(self, places: object) -> None:
            """Called between the commit of the intent and the first touch of the disk."""
            mischief(music / "one.mp3", music / "new" / "one.mp3")

    runner = next(service for service in mismo.app.services if service.name == "file operations")
    runner.tools.watch = Mischievous()  # type: ignore[attr-defined] # the runner is known by its name only
    body = {"library_directory_id": lib.directory_id, "destination_path": "new/one.mp3"}
    answer = await mismo.client.post(f"/api/tracks/{lib.ids['one.mp3']}/move", body, status=202)
    (operation,) = await mismo.app.operations.finished([answer["data"]["id"]])
    assert operation.state == "failed"
    assert operation.error_code in CODES
    assert any(found.startswith(original) for found in content(music))
    assert temporaries(music) == []
