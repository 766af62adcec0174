"""What the engine needs of other domains, in its own words; the composition root hands in their services."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Beats:
    """Times in seconds."""

    beats: Sequence[float]
    downbeats: Sequence[float]


class Analyses(Protocol):
    async def beats(self, audio_hash: str) -> Beats | None:
        """Beats of an audio; None when it isn't analysed yet."""

    async def ensure(self, track_id: str) -> None:
        """Have a track's basic features made soon, if they aren't there."""

    async def request_stems(self, track_id: str, client_id: str) -> Mapping[str, str] | None:
        """Name → absolute path, if the stems are there; else they are made, and None."""


class Cues(Protocol):
    async def merged(self, track_id: str) -> Sequence[Mapping[str, Any]]:
        """One cue for each index, as the API shows them."""

    async def set_by_engine(self, track_id: str, index: int, position: float) -> None: ...

    async def removed_by_engine(self, track_id: str, index: int) -> None: ...


class Plays(Protocol):
    async def loaded(self, track_id: str, deck: str, at: int) -> None: ...

    async def started(self, track_id: str, deck: str, at: int, position: float | None) -> None: ...

    async def played(self, track_id: str, deck: str, started_at: int, on_air_ms: int) -> None:
        """Counts as a play: the track's count, the history, the session."""

    async def stopped(self, track_id: str, deck: str, at: int, position: float | None) -> None: ...
