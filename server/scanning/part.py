"""Which part of a library directory a scan looks at: all of it, a folder, or just the folders where something moved."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Part:
    """A folder (`path` relative to the root, which is `b""`), with all that is below it or only with its own files."""

    path: bytes = b""
    is_recursive: bool = True

    @property
    def depth(self) -> int:
        """Folders between the root and this folder's files."""
        return self.path.count(b"/") + 1 if self.path else 0

    @property
    def prefix(self) -> bytes:
        """What the paths of its files begin with."""
        return self.path + b"/" if self.path else b""

    @property
    def end(self) -> bytes | None:
        """The first path after all paths below; None at the end of all paths."""
        return self.path + b"0" if self.path else None  # "0" is the byte after "/"

    def meets(self, folder: bytes) -> bool:
        """Whether it lies in a folder, or holds it."""
        return self.prefix.startswith(folder + b"/") or (self.is_recursive and folder.startswith(self.prefix))


WHOLE = Part()


def merged(parts: Iterable[Part]) -> tuple[Part, ...]:
    """The parts in the order of their paths, without those that another one covers."""
    wanted = set(parts)
    whole = {part.path for part in wanted if part.is_recursive}
    kept = [
        part
        for part in sorted(wanted)
        if not (part.path in whole and not part.is_recursive) and whole.isdisjoint(_folders_above(part.path))
    ]
    return tuple(kept)


def _folders_above(path: bytes) -> list[bytes]:
    names = path.split(b"/") if path else []
    return [b"/".join(names[:count]) for count in range(len(names))]


def common_folder(parts: Sequence[Part]) -> bytes:
    """The folder that holds all parts."""
    if not parts or any(not part.path for part in parts):
        return b""
    return os.path.commonpath([part.path for part in parts])
