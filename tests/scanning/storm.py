"""A seeded storm over a library, held against a simple model: which recording lies where, and which track it is.

`python -m tests.scanning.storm --steps 2000 --seed 1` runs a long one; the tests run a short one.
"""

# ruff: noqa: T201 # it blocks its own loop, draws from a seed, and prints when run by itself

from __future__ import annotations

import argparse
import asyncio
import random
import shutil
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from server.config import Config
from tests.support import sound
from tests.support.application import Running, running


@dataclass
class File:
    """A file that should have exactly one track. `ids` of all files with the same audio are interchangeable."""

    path: Path
    audio: int


@dataclass
class Storm:
    """`steps` changes to the disk in rounds; after each round the library must equal the model."""

    roots: list[Path]
    random: random.Random
    files: list[File] = field(default_factory=list)
    gone: list[int] = field(default_factory=list)
    ids: dict[int, set[str]] = field(default_factory=dict)  # audio → the tracks that have it, present or missing
    ratings: dict[str, int] = field(default_factory=dict)
    done: Counter[str] = field(default_factory=Counter)
    _names: int = 0
    _audios: int = 0
    _touched: set[int] = field(default_factory=set)

    def fresh_path(self) -> Path:
        self._names += 1
        folders = [f"d{self.random.randrange(4)}" for _ in range(self.random.randrange(3))]
        name = self.random.choice(["é", "e\u0301", "Ärger", "x", "日本", "A b"])
        return self.random.choice(self.roots).joinpath(*folders, f"{name} {self._names}.mp3")

    def add(self) -> None:
        self._audios += 1
        file = File(self.fresh_path(), self._audios)
        sound.mp3(file.path, file.audio, frames=3, TIT2=f"Title {file.audio}")
        self.files.append(file)
        self._touched.add(id(file))

    def step(self) -> None:
        """One change, to a file that wasn't changed in this round."""
        free = [file for file in self.files if id(file) not in self._touched]
        acts = ["add", "move", "retag", "all", "copy", "delete", "return", "replace", "folder", "swap", "editor"]
        act = self.random.choice(acts)
        if act == "add" or len(free) < 4:
            self.add()
        elif act == "return":
            self._return()
        elif act == "folder":
            self._rename_folder()
        else:
            file = self.random.choice(free)
            self._touched.add(id(file))
            getattr(self, f"_{act}")(file)
        self.done[act] += 1

    def _to(self, file: File, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        file.path.rename(path)
        file.path = path

    def _move(self, file: File) -> None:
        self._to(file, self.fresh_path())

    def _retag(self, file: File) -> None:
        sound.retag(file.path, TIT2=f"Retagged {self.random.random()}", TPE1="Someone")

    def _all(self, file: File) -> None:
        self._move(file)
        self._retag(file)

    def _copy(self, file: File) -> None:
        copy = File(self.fresh_path(), file.audio)
        copy.path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file.path, copy.path)
        self.files.append(copy)
        self._touched.add(id(copy))

    def _delete(self, file: File) -> None:
        file.path.unlink()
        self.files.remove(file)
        self.gone.append(file.audio)

    def _return(self) -> None:
        if not self.gone:
            return self.add()
        file = File(self.fresh_path(), self.gone.pop(self.random.randrange(len(self.gone))))
        sound.mp3(file.path, file.audio, frames=3, TIT2="Back")
        self.files.append(file)
        self._touched.add(id(file))
        return None

    def _replace(self, file: File) -> None:
        """Other audio at the same place is the same track, if no other file or track could be meant."""
        if len(self.ids.get(file.audio, ())) != 1 or sum(other.audio == file.audio for other in self.files) != 1:
            return
        self._audios += 1
        (track_id,) = self.ids.pop(file.audio)
        sound.mp3(file.path, self._audios, frames=3, TIT2="Better")
        file.audio = self._audios
        self.ids[file.audio] = {track_id}

    def _editor(self, file: File) -> None:
        """Write a temporary file, and rename it over the old one."""
        temporary = file.path.with_suffix(".tmp")
        shutil.copyfile(file.path, temporary)
        sound.retag(temporary, TALB="Edited")
        temporary.rename(file.path)

    def _swap(self, file: File) -> None:
        others = [item for item in self.files if id(item) not in self._touched]
        if not others:
            return
        other = self.random.choice(others)
        self._touched.add(id(other))
        between = file.path.with_suffix(".between")
        file.path.rename(between)
        other.path.rename(file.path)
        between.rename(other.path)
        file.path, other.path = other.path, file.path

    def _rename_folder(self) -> None:
        folders = sorted({file.path.parent for file in self.files} - set(self.roots))
        if not folders:
            return
        old = self.random.choice(folders)
        self._names += 1
        new = old.with_name(f"renamed {self._names}")
        old.rename(new)
        for file in self.files:
            if old in file.path.parents:
                file.path = new / file.path.relative_to(old)

    async def settle(self, server: Running, directories: list[str]) -> None:
        """Scan everything, in any order, and compare."""
        for directory in self.random.sample(directories, len(directories)):
            scan = await server.scanned(directory)
            assert (scan["state"], scan["failures"]) == ("complete", []), scan
        tracks = await all_tracks(server)
        present = {track["file_path"]: track for track in tracks if not track["is_missing"]}
        assert sorted(present) == sorted(str(file.path) for file in self.files)
        seen: dict[int, set[str]] = {}
        for file in self.files:
            seen.setdefault(file.audio, set()).add(present[str(file.path)]["id"])
        for audio, ids in seen.items():
            known = self.ids.setdefault(audio, set())
            copies = sum(file.audio == audio for file in self.files)
            assert len(ids) == copies, f"audio {audio}: two files are one track"
            assert known <= ids or len(known) > copies, f"audio {audio}: {known - ids} lost"
            assert len(known | ids) == max(len(known), copies), f"audio {audio} has new tracks beside known ones"
            known |= ids
        by_id = {track["id"]: track for track in tracks}
        assert set(by_id) == {track_id for ids in self.ids.values() for track_id in ids}
        assert {track_id: by_id[track_id]["rating"] for track_id in self.ratings} == self.ratings
        for track in tracks:
            if track["id"] not in self.ratings and self.random.random() < 0.5:
                self.ratings[track["id"]] = self.random.randrange(1, 6)
                await server.client.patch(f"/api/tracks/{track['id']}", {"rating": self.ratings[track["id"]]})
        self._touched.clear()


async def all_tracks(server: Running) -> list[dict[str, Any]]:
    tracks: list[dict[str, Any]] = []
    page = 1
    while True:
        answer = await server.client.get("/api/tracks", limit=1000, page=page)
        tracks += answer["data"]
        if page >= answer["pagination"]["total_pages"]:
            return tracks
        page += 1


async def follow(server: Running, copy: dict[str, Any], since: int) -> int:
    """Bring a copy up to date by delta sync, in small pages, and hold it against a fresh one."""
    while True:
        page = (await server.client.get("/api/library", since=since, limit=7))["data"]
        for track in (*page["added"], *page["updated"]):
            copy[track["id"]] = track
        for track_id in page["deleted"]:
            copy.pop(track_id)
        since = page["seq"]
        if not page["has_more"]:
            break
    assert copy == {track["id"]: track for track in await all_tracks(server)}
    return since


async def rage(config: Config, folder: Path, seed: int, steps: int) -> Counter[str]:
    """Run a storm; raises AssertionError as soon as the library differs from the model. Returns what was done."""
    roots = [folder / "one", folder / "two"]
    for root in roots:
        root.mkdir()
        (root / "notes.txt").touch()  # a root without anything would read as an empty mount point
    storm = Storm(roots, random.Random(seed))
    for _ in range(12):
        storm.add()
    copy: dict[str, Any] = {}
    since = 0
    directories: list[str] = []
    while steps > 0:
        async with running(config) as server:
            if not directories:
                directories = [(await server.added(root))["id"] for root in roots]
                await storm.settle(server, directories)
            for _ in range(storm.random.randrange(1, 6)):
                for _ in range(storm.random.randrange(1, 9)):
                    storm.step()
                    steps -= 1
                await storm.settle(server, directories)
                since = await follow(server, copy, since)
        storm.done["restart"] += 1
    return storm.done


def main() -> None:
    from tests.conftest import _migrated, make_config

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mismo-storm-") as folder:
        url = f"sqlite:///{folder}/library.db"
        _migrated(url)
        done = asyncio.run(rage(make_config(database_url=url), Path(folder), given.seed, given.steps))
    print(f"identity storm: seed {given.seed}, {sum(done.values())} acts, library equals model: {dict(done)}")


if __name__ == "__main__":
    main()
