"""Globs on a path inside a library directory: `*`, `?` and `[…]` stay within one name, `**` stands for any folders.

A pattern without `/` matches the last name at any depth. Case doesn't matter.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

_ANY_FOLDERS = None


@dataclass(frozen=True, slots=True)
class Glob:
    """One pattern, name by name; None stands for `**`."""

    names: tuple[re.Pattern[str] | None, ...]

    def matches(self, path: Sequence[str]) -> bool:
        """Whether it matches a path given name by name; takes at most names × names steps."""
        # reachable[i]: the first i names of the pattern have matched what was read of the path.
        reachable = self._through_any({0})
        for name in path:
            following: set[int] = set()
            for index in reachable:
                if index == len(self.names):
                    continue
                expected = self.names[index]
                if expected is _ANY_FOLDERS:
                    following.add(index)
                elif expected.match(name):
                    following.add(index + 1)
            reachable = self._through_any(following)
        return len(self.names) in reachable

    def _through_any(self, reachable: set[int]) -> set[int]:
        """`**` may also stand for no folder at all."""
        for index, expected in enumerate(self.names):
            if index in reachable and expected is _ANY_FOLDERS:
                reachable.add(index + 1)
        return reachable


def compile_glob(pattern: str) -> Glob:
    names = pattern.split("/")
    if len(names) == 1:
        names = ["**", *names]
    # fnmatch writes expressions that don't backtrack out of a star, so no pattern takes exponential time.
    return Glob(
        tuple(_ANY_FOLDERS if name == "**" else re.compile(fnmatch.translate(name), re.IGNORECASE) for name in names)
    )


def matcher(patterns: Sequence[str]) -> Callable[[str], bool]:
    """A function that says whether any of the patterns matches a relative path."""
    globs = [compile_glob(pattern) for pattern in patterns]

    def matches(path: str) -> bool:
        names = path.split("/")
        return any(glob.matches(names) for glob in globs)

    return matches
