"""The stages of an analysis, by the names they have on the wire."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum


class Stage(StrEnum):
    BASIC_FEATURES = "basic_features"
    CHARACTERISTICS = "characteristics"
    GENRE = "genre"
    SEGMENTS = "segments"
    TRANSITIONS = "transitions"
    STEMS = "stems"


class Status(StrEnum):
    """How a stage ended; a server that can't do a stage says so, and isn't asked again for it."""

    DONE = "done"
    UNSUPPORTED = "unsupported"


FIRST = (Stage.BASIC_FEATURES, Stage.CHARACTERISTICS)
"""What every new track gets."""
DEEP = (Stage.GENRE, Stage.SEGMENTS, Stage.TRANSITIONS)
"""What is done when nothing else waits."""


def ordered(stages: Iterable[str]) -> tuple[Stage, ...]:
    """Each stage once, in the order of their declaration."""
    wanted = set(stages)
    return tuple(stage for stage in Stage if stage in wanted)


def options(stages: Iterable[Stage]) -> dict[str, bool]:
    """The `options` of a request to the analysis server."""
    named = {str(stage): True for stage in ordered(stages)}
    return {"all": True, **named} if len(named) == len(Stage) else named
