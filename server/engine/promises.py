"""What the engine was promised and gets later: the full reply of a track in analysis, and stems."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from server.engine.link import Peer

MAX_PROMISES = 1000


@dataclass(frozen=True, slots=True, eq=False)
class Promise:
    """A request that isn't wholly answered yet; `is_answered` when only its stems are missing."""

    track_id: str
    request_id: Any
    wants_stems: bool
    is_answered: bool
    peer: Peer


class Promises:
    """Open promises, oldest first. Beyond `MAX_PROMISES` the oldest is given up: the engine can ask again."""

    def __init__(self) -> None:
        self._open: dict[Promise, None] = {}

    def __bool__(self) -> bool:
        return bool(self._open)

    def add(self, promise: Promise) -> None:
        self._open[promise] = None
        if len(self._open) > MAX_PROMISES:
            del self._open[next(iter(self._open))]

    def of(self, track_ids: Collection[Any]) -> list[Promise]:
        return [promise for promise in self._open if promise.track_id in track_ids]

    def keep(self, promise: Promise) -> bool:
        """Close a promise in order to keep it now; False when it was closed already."""
        if promise not in self._open:
            return False
        del self._open[promise]
        return True

    def forget(self, peer: Peer) -> None:
        """Close all that was promised over a connection."""
        self._open = {promise: None for promise in self._open if promise.peer is not peer}
