"""How far a scan is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Progress:
    """Files that the walk has found, and how many of them are dealt with."""

    phase: str = "walking"
    found: int = 0
    done: int = 0
    is_walk_over: bool = False
    is_waiting: bool = False  # for a database that is locked, full or gone
    current: str = ""
