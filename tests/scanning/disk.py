"""What a storm does to the disk, and the simple model of it: which recording lies where, on which drive."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from tests.support import sound

ACTS = {
    "add": 4, "move": 8, "rename": 6, "retag": 6, "move_rename_retag": 8, "copy": 4, "delete": 5, "return": 4,
    "replace": 4, "editor": 4, "swap": 3, "rename_folder": 4, "close_folder": 2, "open_folders": 2, "unplug": 2,
    "plug": 3,
}  # fmt: skip
NAMES = ["é", "e\u0301", "Ärger", "x", "日本", "A b", "caf\udce9", "#%?"]


class Pluggable(Protocol):
    """A drive; `place` is where it shows."""

    place: Path
    is_in: bool

    def plug(self) -> None: ...

    def unplug(self) -> None: ...


class Renamed:
    """A drive that can go without anything being mounted: its folder has another name meanwhile."""

    def __init__(self, place: Path):
        self.place = place
        self.is_in = True
        self._away = place.with_name(place.name + " (unplugged)")
        place.mkdir()

    def plug(self) -> None:
        self._away.rename(self.place)
        self.is_in = True

    def unplug(self) -> None:
        self.place.rename(self._away)
        self.is_in = False


@dataclass(eq=False)
class File:
    """A file that should have exactly one track: `track_id`, as last seen, when it lay at `seen_at`."""

    path: Path
    audio: int
    track_id: str | None = None
    seen_at: Path | None = None


@dataclass
class Disk:
    """Folders, some of them on drives. A file is changed once in a round, so that each act can be judged by itself."""

    fixed: Path
    drives: list[Pluggable]
    random: random.Random
    files: list[File] = field(default_factory=list)
    gone: list[int] = field(default_factory=list)
    closed: dict[Path, list[File]] = field(default_factory=dict)
    touched: set[File] = field(default_factory=set)
    doubtful: set[int] = field(default_factory=set)  # audio that left a drive which left before anybody looked
    replaced: dict[int, int] = field(default_factory=dict)  # new audio at a place → the one that it took the place of
    swapped: set[Path] = field(default_factory=set)  # roots between which files were swapped, which must be seen
    done: Counter[str] = field(default_factory=Counter)
    journal: list[str] = field(default_factory=list)  # of this round
    stories: dict[int, list[str]] = field(default_factory=dict)  # audio → what was done with it, ever
    rounds: int = 0
    _names: int = 0
    _audios: int = 0

    @property
    def roots(self) -> list[Path]:
        return [self.fixed, *(drive.place for drive in self.drives)]

    def out(self) -> list[Path]:
        """Roots that aren't there."""
        return [drive.place for drive in self.drives if not drive.is_in]

    def _root(self, file: File) -> Path:
        return next(root for root in self.roots if root in file.path.parents)

    def is_out(self, path: Path) -> bool:
        return any(root in path.parents for root in self.out())

    def reachable(self) -> list[File]:
        return [file for file in self.files if not self.is_out(file.path)]

    def hidden(self) -> set[int]:
        """Audio of which a file lies in a closed folder, where nobody can look whether it is there."""
        return {file.audio for files in self.closed.values() for file in files}

    def act(self) -> None:
        """One act at random."""
        act = self.random.choices(list(ACTS), list(ACTS.values()))[0]
        whole: dict[str, Callable[[], None]] = {
            "add": self.add, "return": self._return, "rename_folder": self._rename_folder, "close_folder": self._close,
            "open_folders": self.open_all, "unplug": self._unplug, "plug": self._plug,
        }  # fmt: skip
        if act in whole:
            whole[act]()
            self.note(act)
        else:
            free = self._free()
            if len(free) < 4:
                act = "add"
                self.add()
            else:
                file = self.random.choice(free)
                self.touched.add(file)
                getattr(self, f"_{act}")(file)
                self.note(act, file)
        self.done[act] += 1

    def note(self, act: str, file: File | None = None) -> None:
        where = "" if file is None else f": audio {file.audio}, {file.track_id}, {file.seen_at} → {file.path}"
        self.journal.append(act + where)
        if file is not None:
            self.stories.setdefault(file.audio, []).append(f"round {self.rounds}, {act}{where}, out: {self.out()}")

    def _free(self) -> list[File]:
        return [file for file in self.reachable() if file not in self.touched]

    # -- one file

    def fresh_path(self) -> Path:
        self._names += 1
        root = self.random.choice([root for root in self.roots if root not in self.out()])
        while True:
            folder = root.joinpath(*(f"d{self.random.randrange(4)}" for _ in range(self.random.randrange(3))))
            if not any(closed == folder or closed in folder.parents for closed in self.closed):
                return folder / f"{self.random.choice(NAMES)} {self._names}.mp3"

    def _new(self, audio: int) -> File:
        file = File(self.fresh_path(), audio)
        file.path.parent.mkdir(parents=True, exist_ok=True)
        self.files.append(file)
        self.touched.add(file)
        self.note("new", file)
        return file

    def add(self) -> None:
        self._audios += 1
        file = self._new(self._audios)
        sound.mp3(file.path, file.audio, frames=3, TIT2=f"Title {file.audio}")

    def _to(self, file: File, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(file.path, path)  # between drives it copies and deletes
        file.path = path

    def _move(self, file: File) -> None:
        self._to(file, self.fresh_path().with_name(file.path.name))

    def _rename(self, file: File) -> None:
        self._names += 1
        self._to(file, file.path.with_name(f"{self.random.choice(NAMES)} {self._names}.mp3"))

    def _retag(self, file: File) -> None:
        sound.retag(file.path, TIT2=f"Retagged {self.random.random()}", TPE1="Someone")

    def _move_rename_retag(self, file: File) -> None:
        self._to(file, self.fresh_path())
        self._retag(file)

    def _copy(self, file: File) -> None:
        shutil.copyfile(file.path, self._new(file.audio).path)

    def _delete(self, file: File) -> None:
        file.path.unlink()
        self.files.remove(file)
        self.gone.append(file.audio)

    def _return(self) -> None:
        if not self.gone:
            return self.add()
        file = self._new(self.gone.pop(self.random.randrange(len(self.gone))))
        sound.mp3(file.path, file.audio, frames=3, TIT2="Back")
        return None

    def _replace(self, file: File) -> None:
        """Other audio at the same place is the same track, if it was seen there and no other could be meant."""
        others = sum(other.audio == file.audio for other in self.files) - 1
        if file.seen_at != file.path or others or file.audio in self.gone or file.audio in self.doubtful:
            return
        self._audios += 1
        self.replaced[self._audios] = file.audio
        sound.mp3(file.path, self._audios, frames=3, TIT2="Better")
        file.audio = self._audios

    def _editor(self, file: File) -> None:
        """Write a temporary file, and rename it over the old one."""
        temporary = file.path.with_suffix(".tmp")
        shutil.copyfile(file.path, temporary)
        sound.retag(temporary, TALB="Edited")
        temporary.rename(file.path)

    def _swap(self, file: File) -> None:
        here = file.path.stat().st_dev
        others = [item for item in self._free() if item.path.stat().st_dev == here]
        if not others:
            return
        other = self.random.choice(others)
        self.touched.add(other)
        between = file.path.with_suffix(".between")
        file.path.rename(between)
        other.path.rename(file.path)
        between.rename(other.path)
        file.path, other.path = other.path, file.path
        roots = {self._root(file), self._root(other)}
        if len(roots) > 1:
            # If one of them went now, the other would show a file that was replaced in place by other audio.
            self.swapped |= roots
        self.note("swap", other)

    # -- folders and drives

    def _rename_folder(self) -> None:
        around = {folder for closed in self.closed for folder in (closed, *closed.parents)}
        inside = {file.path.parent for files in self.closed.values() for file in files}
        # Other audio at another place is another file, whatever was meant.
        around |= {folder for file in self.files if file.audio in self.replaced for folder in file.path.parents}
        folders = sorted({file.path.parent for file in self.reachable()} - set(self.roots) - around - inside)
        if not folders:
            return
        old = self.random.choice(folders)
        self._names += 1
        new = old.with_name(f"renamed {self._names}")
        old.rename(new)
        for file in self.files:
            if old in file.path.parents:
                file.path = new / file.path.relative_to(old)
                self.touched.add(file)
                self.note("folder renamed", file)

    def _close(self) -> None:
        """Make a folder unreadable, of files that are as they were last seen; none has left it since."""
        free = set(self._free())
        folders = sorted({file.path.parent for file in free} - set(self.roots))
        for folder in self.random.sample(folders, len(folders)):
            inside = [file for file in self.files if folder in file.path.parents]
            has_changed = any(file.seen_at is not None and folder in file.seen_at.parents for file in self.touched)
            if not has_changed and free.issuperset(inside) and all(file.seen_at == file.path for file in inside):
                folder.chmod(0)
                self.closed[folder] = inside
                self.touched.update(inside)
                return

    def open_all(self) -> None:
        for folder in list(self.closed):
            if not self.is_out(folder):
                folder.chmod(0o755)
                del self.closed[folder]

    def _unplug(self) -> None:
        inside = [drive for drive in self.drives if drive.is_in and drive.place not in self.swapped]
        if not inside:
            return
        drive = self.random.choice(inside)
        for file in self.touched:
            has_left = drive.place not in file.path.parents or file not in self.files
            if has_left and file.seen_at is not None and drive.place in file.seen_at.parents:
                self.doubtful.add(file.audio)
        drive.unplug()
        self.note(f"unplugged {drive.place}")

    def _plug(self) -> None:
        for drive in self.drives:
            if not drive.is_in:
                drive.plug()

    def begin_round(self) -> None:
        """Everything has been seen; what lies in closed folders stays untouchable."""
        self.touched = {file for files in self.closed.values() for file in files}
        self.rounds += 1
        self.replaced.clear()
        self.swapped.clear()
        self.journal.clear()

    def restore(self) -> None:
        """Leave nothing behind that can't be removed."""
        self._plug()
        with contextlib.suppress(OSError):
            self.open_all()


def shown(path: Path) -> str:
    """A path as the API shows it."""
    return os.fsencode(path).decode("utf-8", "replace")
