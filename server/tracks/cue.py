"""The hot cue as a value: where in a track a pad jumps to, who set it, and which of several counts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

HIGHEST_INDEX = 7


class CueSource(StrEnum):
    """Who set a cue, in the order in which readers prefer them."""

    USER = "user"
    ENGINE = "engine"
    REKORDBOX = "rekordbox"
    SERATO = "serato"
    TRAKTOR = "traktor"
    MIXED_IN_KEY = "mixedInKey"
    VIRTUAL_DJ = "virtual dj"


_RANK = {source: rank for rank, source in enumerate(CueSource)}


@dataclass(frozen=True, slots=True)
class Cue:
    """`position` and `loop_end` in seconds into the file; `index` 0-7 is the pad."""

    index: int
    source: CueSource
    position: float
    name: str | None = None
    color: str | None = None
    is_loop: bool = False
    loop_end: float | None = None

    def as_json(self) -> dict[str, Any]:
        return {
            "index": self.index,
            "source": self.source.value,
            "position": self.position,
            "name": self.name,
            "color": self.color,
            "is_loop": self.is_loop,
            "loop_end": self.loop_end,
        }


def merged(cues: Iterable[Cue]) -> list[Cue]:
    """One cue for each index: of several the one whose source is preferred."""
    chosen: dict[int, Cue] = {}
    for cue in sorted(cues, key=lambda cue: _RANK[cue.source]):
        chosen.setdefault(cue.index, cue)
    return [chosen[index] for index in sorted(chosen)]
