"""What is announced about duplicates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from server.events.model import Recorded


@dataclass(frozen=True, kw_only=True)
class DuplicateDetected(Recorded):
    """A group waits for a decision: it is new, got a further track, or was opened again."""

    name: ClassVar[str] = "duplicate:detected"
    group: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class DuplicateResolved(Recorded):
    """A group waits no more: it was resolved (`status: resolved`), ignored, or one track of it is left (`gone`)."""

    name: ClassVar[str] = "duplicate:resolved"
    group: dict[str, Any]
