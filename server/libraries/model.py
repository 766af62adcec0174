"""The library directory as a value, and what makes two of them collide."""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import orjson

from server.clock import to_rfc3339
from server.db.database import Row
from server.libraries import inner_mounts, mounts
from server.libraries.inner_mounts import InnerMount


class ScanStatus(StrEnum):
    IDLE = "idle"
    QUEUED = "queued"
    SCANNING = "scanning"
    PAUSED = "paused"
    ERROR = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class LibraryDirectory:
    """`path` is byte for byte as the OS gives it; the globs of the patterns see the path relative to it."""

    id: str
    path: bytes
    name: str
    is_active: bool
    is_removable: bool
    is_available: bool
    unavailable_reason: str | None
    filesystem: dict[str, Any]
    fingerprint: dict[str, Any] | None
    recursive_scan: bool
    max_depth: int
    scan_patterns: tuple[str, ...]
    exclude_patterns: tuple[str, ...]
    follow_symlinks: bool
    priority: int
    watch: bool
    watch_state: str
    watch_detail: str | None
    last_scan: int | None
    created_at: int
    updated_at: int
    removed_at: int | None

    @property
    def readable_path(self) -> str:
        return self.path.decode("utf-8", "replace")

    @property
    def has_stable_inodes(self) -> bool:
        return mounts.has_stable_inodes(self.filesystem.get("type"))

    @property
    def device(self) -> int | None:
        """`st_dev` of the root when it was last looked at."""
        return None if self.fingerprint is None else self.fingerprint["device"]

    @property
    def inner_mounts(self) -> list[InnerMount]:
        """Drives that are mounted inside of it, or were when it was last looked through."""
        return [inner_mounts.from_json(mount) for mount in (self.fingerprint or {}).get("mounts", ())]

    def as_json(self, total_tracks: int, total_missing: int, scan_status: ScanStatus) -> dict[str, Any]:
        """The directory as the API shows it."""
        return {
            "id": self.id,
            "path": self.readable_path,
            "name": self.name,
            "is_active": self.is_active,
            "is_removable": self.is_removable,
            "is_available": self.is_available,
            "unavailable_reason": self.unavailable_reason,
            "filesystem": self.filesystem,
            "recursive_scan": self.recursive_scan,
            "max_depth": self.max_depth,
            "scan_patterns": list(self.scan_patterns),
            "exclude_patterns": list(self.exclude_patterns),
            "follow_symlinks": self.follow_symlinks,
            "priority": self.priority,
            "watch": self.watch,
            "watch_state": self.watch_state,
            "watch_detail": self.watch_detail,
            "last_scan": to_rfc3339(self.last_scan),
            "scan_status": scan_status,
            "total_tracks": total_tracks,
            "total_missing": total_missing if self.is_available else total_tracks,
            "created_at": to_rfc3339(self.created_at),
        }


def from_row(row: Row) -> LibraryDirectory:
    fingerprint = row["fingerprint"]
    return LibraryDirectory(
        id=row["id"],
        path=bytes(row["path"]),
        name=row["name"],
        is_active=bool(row["is_active"]),
        is_removable=bool(row["is_removable"]),
        is_available=bool(row["is_available"]),
        unavailable_reason=row["unavailable_reason"],
        filesystem=orjson.loads(row["filesystem"]),
        fingerprint=orjson.loads(fingerprint) if fingerprint else None,
        recursive_scan=bool(row["recursive_scan"]),
        max_depth=row["max_depth"],
        scan_patterns=tuple(orjson.loads(row["scan_patterns"])),
        exclude_patterns=tuple(orjson.loads(row["exclude_patterns"])),
        follow_symlinks=bool(row["follow_symlinks"]),
        priority=row["priority"],
        watch=bool(row["watch"]),
        watch_state=row["watch_state"],
        watch_detail=row["watch_detail"],
        last_scan=row["last_scan"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        removed_at=row["removed_at"],
    )


def lineage(path: bytes) -> list[tuple[int, int]]:
    """(device, inode) of a folder and of every folder above it, itself first.

    Comparing these instead of names sees through symlinks, case-insensitive file systems and bind mounts' own names.
    Raises OSError when the path can't be reached.
    """
    found = []
    path = os.path.realpath(path)
    while True:
        status = os.stat(path)
        found.append((status.st_dev, status.st_ino))
        parent = os.path.dirname(path)
        if parent == path:
            return found
        path = parent
