"""What the server orders of the scanning process, and what it gets back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from server.libraries.model import LibraryDirectory
from server.scanning.model import Counts, Failure, Scan
from server.scanning.part import Part


@dataclass(frozen=True, slots=True)
class Job:
    """A scan, and the parts of the directory that it is to look at."""

    scan: Scan
    directory: LibraryDirectory
    parts: Sequence[Part]


@dataclass(frozen=True, slots=True)
class Ended:
    """How a job ended. `error`: the words of what stopped it."""

    counts: Counts
    failures: list[Failure]
    error: str | None = None
    is_taken_over: bool = False
