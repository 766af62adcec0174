"""What a reader has found so far, as the file spells it. `assemble` turns it into Metadata."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from server.metadata.model import BitRateMode

FRONT_COVER = 3  # picture types are those of ID3v2 APIC in every format that has them


@dataclass(slots=True)
class Draft:
    """Tags by field name with their values in file order, and the facts about the audio stream.

    The field names are those of `fields.py`. Readers add what they find; the first tag format that knows a field wins.
    """

    tags: dict[str, list[str]] = field(default_factory=dict)
    rating: int | None = None
    has_lyrics: bool = False
    artwork_type: str | None = None
    artwork_size: int | None = None
    artwork_is_front: bool = False

    codec: str | None = None
    duration_seconds: float | None = None
    sample_rate: int | None = None
    bit_depth: int | None = None
    channels: int | None = None
    bit_rate: float | None = None
    bit_rate_mode: BitRateMode | None = None
    encoder: str | None = None
    """What the stream, not a tag, names as its encoder."""
    problem: str | None = None
    """`code: reason` of a fault that left the rest readable."""

    def add(self, name: str, values: Iterable[str]) -> None:
        """Append values to a field."""
        known = self.tags.get(name)
        if known is None:
            self.tags[name] = list(values)
        else:
            known.extend(values)

    def offer(self, name: str, values: list[str]) -> None:
        """Set a field unless it is known already."""
        if name not in self.tags and any(values):
            self.tags[name] = values

    def add_picture(self, picture_type: int, mime: str, size: int) -> None:
        """Count a picture in; the front cover wins over others, then the first."""
        if size <= 0 or mime == "-->":  # a link to a picture isn't one
            return
        is_front = picture_type == FRONT_COVER
        if self.artwork_size is None or (is_front and not self.artwork_is_front):
            self.artwork_type, self.artwork_size, self.artwork_is_front = mime, size, is_front

    def fill_from(self, other: Draft) -> None:
        """Take tags from another draft where this one has none: a second tag in the same file."""
        for place in ("track", "disc"):
            if place in self.tags and "/" in (theirs := other.tags.get(place, [""])[0]):
                self.tags.setdefault(f"{place}_total", [theirs.partition("/")[2]])
        for name, values in other.tags.items():
            self.tags.setdefault(name, values)
        if self.rating is None:
            self.rating = other.rating
        self.has_lyrics = self.has_lyrics or other.has_lyrics
        if self.artwork_size is None:
            self.artwork_type, self.artwork_size = other.artwork_type, other.artwork_size
            self.artwork_is_front = other.artwork_is_front

    def average_bit_rate(self, audio_bytes: int) -> None:
        """Set the bit rate to that of `audio_bytes` over the duration."""
        if self.duration_seconds:
            self.bit_rate = audio_bytes * 8 / self.duration_seconds
