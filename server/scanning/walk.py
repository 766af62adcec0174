"""Walking a library directory: every audio file with its `stat`, in the order of the bytes of its path."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import NamedTuple

from server.scanning.glob import matcher
from server.scanning.part import WHOLE, Part
from server.tracks.model import signed

AUDIO_EXTENSIONS = frozenset(
    b".aac .ac3 .aif .aifc .aiff .alac .ape .asf .au .bwf .caf .dff .dsf .eac3 .flac .m4a .m4b .m4r .mka .mp+ .mp1 .mp2"
    b" .mp3 .mp4 .mpc .mpga .mpp .oga .ofr .ofs .ogg .opus .rf64 .snd .spx .tak .tta .w64 .wav .wave .webm .wma"
    b" .wv".split()
)
# What operating systems, file servers and Mismo itself keep beside the music.
_SYSTEM_FOLDERS = frozenset(
    {
        b".mismo-trash",
        b"$RECYCLE.BIN",
        b"System Volume Information",
        b".Trashes",
        b"@eaDir",
        b"lost+found",
        b".Spotlight-V100",
    }
)
CHUNK = 1000


class Entry(NamedTuple):
    """A file as it was found: `path` relative to the root, the rest from `stat` (bytes, ns since the epoch)."""

    path: bytes
    size: int
    mtime_ns: int
    inode: int
    device: int


def entry_of(path: bytes, status: os.stat_result) -> Entry:
    return Entry(path, status.st_size, status.st_mtime_ns, signed(status.st_ino), signed(status.st_dev))


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that couldn't be walked. For a folder (`is_folder`), what is below it is unknown, not gone."""

    path: bytes
    code: str
    reason: str
    is_folder: bool = False


@dataclass(slots=True)
class Chunk:
    """A run of entries in the order of their paths, and what couldn't be looked at on the way."""

    entries: list[Entry] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Options:
    """`max_depth` counts folders below the root, -1 for any; `part` is the part of the tree to walk."""

    max_depth: int = -1
    scan_patterns: Sequence[str] = ()
    exclude_patterns: Sequence[str] = ()
    follow_symlinks: bool = False
    part: Part = WHOLE


class Walk:
    """A walk over one tree; blocking, for a thread of its own."""

    def __init__(self, root: bytes, options: Options, chunk: int = CHUNK):
        self._root = root.rstrip(b"/") or b"/"
        self._real_root = os.path.realpath(self._root)
        self._options = options
        self._chunk_size = chunk
        self._is_included: Callable[[str], bool] = (
            matcher(options.scan_patterns) if options.scan_patterns else lambda _: True
        )
        self._is_excluded = matcher(options.exclude_patterns)
        self._chunk = Chunk()

    def chunks(self) -> Iterator[Chunk]:
        """All of the part. A folder of it that can't be listed is a problem of the first chunk."""
        self._chunk = Chunk()
        yield from self._start()
        yield self._chunk

    def _start(self) -> Iterator[Chunk]:
        """The part's folder, unless the walk from the root wouldn't have come there either."""
        path = self._options.part.path
        names = path.split(b"/") if path else []
        for count, name in enumerate(names, 1):
            if is_system_folder(name) or self._excludes(b"/".join(names[:count])):
                return
        depth = self._options.part.depth
        if 0 <= self._options.max_depth < depth:
            return
        if not self._is_reachable(path):
            self._note(Problem(path, "symlink_outside", "leads out of the library directory", is_folder=True))
            return
        yield from self._folder(path, depth, ())

    def _note(self, problem: Problem) -> None:
        self._chunk.problems.append(problem)

    def _is_reachable(self, path: bytes) -> bool:
        """Whether a folder lies inside the root, and not behind a link unless these are followed."""
        if not path:
            return True
        real = os.path.realpath(os.path.join(self._root, path))
        if self._options.follow_symlinks:
            return real.startswith(self._real_root.rstrip(b"/") + b"/")
        return real == os.path.join(self._real_root, path)

    def _folder(self, path: bytes, depth: int, above: tuple[tuple[int, int], ...]) -> Iterator[Chunk]:
        """Gather what is below a folder; yields the chunks that fill up on the way, and nothing for each file."""
        try:
            with os.scandir(os.path.join(self._root, path) if path else self._root) as scanned:
                entries = [(self._sort_name(entry), entry) for entry in scanned]
        except OSError as error:
            self._note(_problem(path, error, is_folder=True))
            return
        entries.sort(key=itemgetter(0))
        prefix = path + b"/" if path else b""
        for sort_name, entry in entries:
            try:
                if sort_name.endswith(b"/"):
                    yield from self._subfolder(prefix + entry.name, entry, depth, above)
                elif entry.is_symlink():
                    if self._options.follow_symlinks:
                        self._link(prefix + entry.name, entry)
                elif self._is_audio(prefix, entry.name):
                    status = entry.stat(follow_symlinks=False)
                    if stat.S_ISREG(status.st_mode):
                        self._chunk.entries.append(entry_of(prefix + entry.name, status))
            except OSError as error:
                self._note(_problem(prefix + entry.name, error))
            if len(self._chunk.entries) >= self._chunk_size:
                yield self._chunk
                self._chunk = Chunk()

    def _sort_name(self, entry: os.DirEntry[bytes]) -> bytes:
        """The name as it sorts within whole paths: a folder's ends in the slash that comes before its files."""
        try:
            is_folder = entry.is_dir(follow_symlinks=self._options.follow_symlinks)
        except OSError:
            is_folder = False  # a loop of links, which opening will name
        return entry.name + b"/" if is_folder else entry.name

    def _subfolder(
        self, path: bytes, entry: os.DirEntry[bytes], depth: int, above: tuple[tuple[int, int], ...]
    ) -> Iterator[Chunk]:
        if not self._options.part.is_recursive or is_system_folder(entry.name):
            return
        if 0 <= self._options.max_depth <= depth or self._excludes(path):
            return
        if self._options.follow_symlinks:
            status = os.stat(os.path.join(self._root, path))
            identity = (status.st_dev, status.st_ino)
            if identity in above:
                self._note(Problem(path, "symlink_loop", "leads back to a folder it lies in"))
                return
            if entry.is_symlink() and not self._is_inside(path):
                self._note(Problem(path, "symlink_outside", "leads out of the library directory"))
                return
            above = (*above, identity)
        yield from self._folder(path, depth + 1, above)

    def _link(self, path: bytes, entry: os.DirEntry[bytes]) -> None:
        if not self._is_audio(os.path.dirname(path) + b"/" if b"/" in path else b"", entry.name):
            return
        if not self._is_inside(path):
            self._note(Problem(path, "symlink_outside", "leads out of the library directory"))
            return
        status = entry.stat()
        if stat.S_ISREG(status.st_mode):
            self._chunk.entries.append(entry_of(path, status))

    def _is_inside(self, path: bytes) -> bool:
        real = os.path.realpath(os.path.join(self._root, path))
        return real.startswith(self._real_root.rstrip(b"/") + b"/")

    def _is_audio(self, prefix: bytes, name: bytes) -> bool:
        if name[name.rfind(b".") :].lower() not in AUDIO_EXTENSIONS or name.startswith(b"._"):
            return False
        if not self._options.scan_patterns and not self._options.exclude_patterns:
            return True
        readable = (prefix + name).decode("utf-8", "replace")
        return self._is_included(readable) and not self._is_excluded(readable)

    def _excludes(self, path: bytes) -> bool:
        if not self._options.exclude_patterns:
            return False
        readable = path.decode("utf-8", "replace")
        return self._is_excluded(readable) or self._is_excluded(readable + "/")


def is_system_folder(name: bytes) -> bool:
    return name in _SYSTEM_FOLDERS or name.startswith(b".Trash-")


def _problem(path: bytes, error: OSError, *, is_folder: bool = False) -> Problem:
    code = {PermissionError: "permission_denied", FileNotFoundError: "vanished"}.get(type(error), "io_error")
    return Problem(path, code, error.strerror or str(error), is_folder)
