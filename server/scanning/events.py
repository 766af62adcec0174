"""What is announced about scans."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from server.events.model import Recorded, Transient

# An event carries this many of a scan's failures; the scan itself lists all.
MAX_FAILURES = 500


@dataclass(frozen=True, kw_only=True)
class ScanStarted(Recorded):
    """A scan left the queue."""

    name: ClassVar[str] = "library:directory:scan:started"
    scan: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class _ScanEnd(Recorded):
    scan: dict[str, Any]

    @classmethod
    def ends(cls, data: Mapping[str, Any]) -> tuple[str, str]:
        return ScanProgress.name, data["scan"]["id"]


@dataclass(frozen=True, kw_only=True)
class ScanComplete(_ScanEnd):
    """A scan went through to its end, whatever single files failed."""

    name: ClassVar[str] = "library:directory:scan:complete"


@dataclass(frozen=True, kw_only=True)
class ScanCancelled(_ScanEnd):
    """A scan was stopped by a person; what it had found so far is kept."""

    name: ClassVar[str] = "library:directory:scan:cancelled"


@dataclass(frozen=True, kw_only=True)
class ScanFailed(_ScanEnd):
    """A scan couldn't go on; `scan.error` says why. What it had found so far is kept."""

    name: ClassVar[str] = "library:directory:scan:failed"


@dataclass(frozen=True, kw_only=True)
class ScanProgress(Transient):
    """How far a scan is. `rate` in files a second, `eta` in seconds, `current` the path in work.

    `phase` is walking, reading, finishing, or waiting: for a database that is locked, full or can't be reached.
    """

    name: ClassVar[str] = "library:directory:scan:progress"
    scan_id: str
    library_directory_id: str
    phase: str
    found: int
    done: int
    total: int | None
    rate: float
    eta: float | None
    current: str
