"""What other programs do to the files between the plan and its execution: nothing is lost, nothing overwritten."""

from __future__ import annotations

import os
import random
import shutil
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from tests.support import sound
from tests.support.application import Running
from tests.support.library import Library, done, library, temporaries, tree
from tests.support.tmpfs import needs_mounting, tmpfs

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


class Mischievous:
    """Strikes between the commit of the intent and the first touch of the disk."""

    def __init__(self, strikes: Mapping[bytes, Callable[[], None]]):
        self.strikes = dict(strikes)

    def expect(self, places: Sequence[tuple[str, bytes]]) -> None:
        for _, path in places:
            strike = self.strikes.pop(path, None)
            if strike is not None:
                strike()


async def test_a_hundred_files_that_somebody_touches_between_plan_and_execution_are_whole(
    mismo: Running, music: Path
) -> None:
    chance = random.Random(5)
    lib: Library = await library(mismo, music, *(f"{number:03}.mp3" for number in range(102)))
    originals = {(music / name).read_bytes() for name in lib.ids}
    targets = {name: f"new {number}/{name}" for number, name in enumerate(lib.ids)}
    kinds = {name: MISCHIEF[number % len(MISCHIEF)] for number, name in enumerate(lib.ids)}
    runner = next(service for service in mismo.app.services if service.name == "file operations")
    strikes = {
        name.encode(): partial(mischief, music / name, music / targets[name]) for name, mischief in kinds.items()
    }
    runner.tools.watch = Mischievous(strikes)  # type: ignore[attr-defined] # the runner is known by its name only
    queued = {}
    for name in chance.sample(sorted(lib.ids), len(lib.ids)):
        body = {"library_directory_id": lib.directory_id, "destination_path": targets[name]}
        answer = await mismo.client.post(f"/api/tracks/{lib.ids[name]}/move", body, status=202)
        queued[answer["data"]["id"]] = kinds[name]
    ended = await mismo.app.operations.finished(list(queued))
    codes: dict[str, set[str | None]] = {}
    for item in ended:
        assert item.state == "failed"
        codes.setdefault(queued[item.id].__name__, set()).add(item.error_code)
    assert codes == {
        "edit": {"changed_on_disk"}, "replace_by_folder": {"changed_on_disk"}, "replace_by_link": {"changed_on_disk"},
        "take_away": {"vanished"}, "fill_target": {"target_exists"}, "block_folder": {"not_a_folder"},
    }  # fmt: skip
    left = content(music)
    assert all(any(found.startswith(original) for found in left) for original in originals)
    assert sum(left.values()) == 102 + sum(kind in (fill_target, block_folder) for kind in kinds.values())
    assert temporaries(music) == []


async def test_full_target_fails_the_move_and_leaves_the_file_where_it_was(
    mismo: Running, music: Path, tmp_path: Path
) -> None:
    needs_mounting()
    with tmpfs(tmp_path / "small", "1m") as small:
        sound.mp3(music / "big.mp3", "big")
        with (music / "big.mp3").open("ab") as file:
            file.write(os.urandom(2_000_000))
        (small / "keep.txt").write_text("an empty directory counts as unplugged")
        lib = await library(mismo, music, "fits.mp3")
        target = await mismo.added(small)
        before, there = tree(music), tree(small)
        body = {"library_directory_id": target["id"], "destination_path": "deep/big.mp3"}
        answer = await mismo.client.post(f"/api/tracks/{lib.ids['big.mp3']}/move", body, status=202)
        operation = await done(mismo, answer, "failed")
        assert operation["error"]["code"] == "disk_full"
        assert (tree(music), tree(small)) == (before, there)
        body = {"library_directory_id": target["id"], "destination_path": "deep/fits.mp3"}
        await done(mismo, await mismo.client.post(f"/api/tracks/{lib.ids['fits.mp3']}/move", body, status=202))
