"""The stages of an analysis, by the names they have in the protocol."""

from enum import StrEnum

Payload = dict[str, object]
"""What a stage reports, ready to be sent as JSON."""


class Stage(StrEnum):
    """In the order in which they are done."""

    BASIC_FEATURES = "basic_features"
    CHARACTERISTICS = "characteristics"
    GENRE = "genre"
    SEGMENTS = "segments"
    STEMS = "stems"
    TRANSITIONS = "transitions"
