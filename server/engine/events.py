"""What is announced about the engine and its decks. All of it is transient: the engine says it again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from server.events.model import Transient


@dataclass(frozen=True, kw_only=True)
class EngineState(Transient):
    """The link came up or went down."""

    name: ClassVar[str] = "engine:state"
    state: str
    url: str
    detail: str | None = None


@dataclass(frozen=True, kw_only=True)
class DeckState(Transient):
    """Where a deck is; `position` in seconds. `subject` is the deck, so that each has a rate of its own."""

    name: ClassVar[str] = "deck:state"
    deck: str
    track_id: str | None
    position: float | None
    playing: bool
