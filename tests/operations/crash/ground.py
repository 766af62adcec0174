"""The library that the faults are tried on, and its state from which each of them starts."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from server.db.migrate import migrate
from server.db.opening import open_database
from tests.operations.crash import process
from tests.support import sound
from tests.support.application import running


@dataclass(frozen=True, slots=True)
class Ground:
    """One library directory, and another one on a file system of its own; both in memory, so that a sync is quick."""

    base: Path
    music: Path
    other: Path
    database: Path
    directories: tuple[str, str]
    tracks: tuple[tuple[str, str], ...]  # (id, name)

    @property
    def url(self) -> str:
        return f"sqlite:///{self.database}"

    def files(self) -> list[Path]:
        return [
            Path(parent) / name
            for folder in (self.music, self.other)
            for parent, _, names in os.walk(folder)
            for name in names
        ]

    def folders(self) -> list[Path]:
        return [
            Path(parent) / name
            for folder in (self.music, self.other)
            for parent, names, _ in os.walk(folder)
            for name in names
        ]

    def keep(self) -> None:
        """Make the present state the one that `restore` brings back: the same files, inodes too, by hard links."""
        for folder in (self.music, self.other):
            _link_all(folder, _kept(folder))
        shutil.copyfile(self.database, _kept(self.database))

    def restore(self) -> None:
        for folder in (self.music, self.other):
            _link_all(_kept(folder), folder)
        for ending in ("-wal", "-shm"):
            Path(f"{self.database}{ending}").unlink(missing_ok=True)
        shutil.copyfile(_kept(self.database), self.database)


def _kept(path: Path) -> Path:
    return path.with_name(f"kept-{path.name}")


def _link_all(source: Path, target: Path) -> None:
    target.mkdir(exist_ok=True)
    for entry in list(os.scandir(target)):
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path)
        else:
            os.unlink(entry.path)
    for parent, folders, names in os.walk(source):
        inside = target / os.path.relpath(parent, source)
        for name in folders:
            (inside / name).mkdir()
        for name in names:
            os.link(Path(parent) / name, inside / name)


def missing_programs() -> str | None:
    """Why the faults can't be tried here."""
    if shutil.which("strace") is None:
        return "strace isn't there"
    if os.geteuid() != 0:
        return "mounting a file system takes root"
    return None


@contextmanager
def ground(files: int) -> Iterator[Ground]:
    """A scanned library in a temporary folder; the first track has a side-car."""
    top = Path(tempfile.mkdtemp(prefix="mismo-crash-"))
    near, far = top / "near", top / "far"
    music, other = near / "music", far / "other"
    for place in (near, far):
        place.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", place], check=True)
    try:
        music.mkdir()
        other.mkdir()
        for number in range(files):
            sound.mp3(music / f"{number:02}.mp3", number, frames=4)
        (music / "00.lrc").write_text("la la")
        (other / "keep.txt").write_text("an empty directory counts as unplugged")
        sound.mp3(other / "other.mp3", "other", frames=4)
        database = near / "library.db"
        directories, tracks = process.in_child(lambda: _scanned(f"sqlite:///{database}", [music, other]))
        yield Ground(near, music, other, database, tuple(directories), tuple(map(tuple, tracks)))
    finally:
        for place in (near, far):
            subprocess.run(["umount", "-l", place], check=True)
        shutil.rmtree(top)


async def _scanned(url: str, folders: Sequence[Path]) -> Any:
    from tests.conftest import make_config

    database = open_database(make_config(database_url=url))
    await database.open()
    await migrate(database)
    await database.close()
    async with running(make_config(database_url=url)) as mismo:
        directories = [(await mismo.added(folder))["id"] for folder in folders]
        scans = [await mismo.scanned(directory) for directory in directories]
        listed = (await mismo.client.get("/api/tracks", limit=1000, library_id=directories[0], sort="file_name"))[
            "data"
        ]
        if len(listed) != scans[0]["counts"]["found"] or not listed:
            raise RuntimeError(f"the library isn't whole: {scans}")
    return directories, [(track["id"], track["relative_path"]) for track in listed]
