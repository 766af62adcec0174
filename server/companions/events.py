"""What is announced about companions."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from server.events.model import Recorded


@dataclass(frozen=True, kw_only=True)
class CompanionState(Recorded):
    """A companion process started, became ready, crashed, or stays down; its `name` is `analysis` or `engine`."""

    name: ClassVar[str] = "companion:state"
    # `name` is the topic of every event already.
    companion: str = field(metadata={"data_key": "name"})
    state: str
    restarts: int
    detail: str | None
