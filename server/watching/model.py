"""How a directory is followed, and what the watcher shows of itself."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class WatchState(StrEnum):
    """`polling`: looked through every few seconds, where the operating system doesn't tell of changes."""

    OFF = "off"
    WATCHING = "watching"
    POLLING = "polling"


@dataclass(frozen=True, slots=True)
class Followed:
    """One directory as the watcher sees it; `pending` are files and folders that are still to be scanned."""

    library_directory_id: str
    path: str
    watch_state: WatchState
    detail: str | None
    pending: int

    def as_json(self) -> dict[str, Any]:
        return {
            "library_directory_id": self.library_directory_id,
            "path": self.path,
            "watch_state": self.watch_state,
            "detail": self.detail,
            "pending": self.pending,
        }


@dataclass(frozen=True, slots=True)
class Status:
    is_running: bool
    directories: tuple[Followed, ...]

    def as_json(self) -> dict[str, Any]:
        return {
            "is_running": self.is_running,
            "directories": [directory.as_json() for directory in self.directories],
        }
