"""What a source tells of a directory: where something may have changed."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class News:
    """A path relative to the directory, and whether it was said to be gone or new.

    With `is_listing`, it is a folder whose own files differ in a way that isn't known. `b""` without that stands for
    the directory itself: anything in it may have changed.
    """

    path: bytes
    is_gone: bool = False
    is_new: bool = False
    is_listing: bool = False

    @property
    def is_anything(self) -> bool:
        return not self.path and not self.is_listing


ANYTHING = News(b"")
