"""What a file says about the recording in it, in the names and units the API uses."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from server.hashing.container import Container
from server.metadata.key import Key


class BitRateMode(StrEnum):
    """How the encoder spread its bits over time."""

    CBR = "cbr"
    VBR = "vbr"
    ABR = "abr"


class MetadataSource(StrEnum):
    """Where title and artist were taken from."""

    TAGS = "tags"
    FILENAME = "filename"


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """Tags and technical facts of one file. What it doesn't say is None (False, empty for flags and lists).

    All text is valid UTF-8, trimmed, free of control characters and of bounded length. `title` is never empty.
    """

    title: str
    artist: str | None = None
    """As the tag credits it; of several values the first."""
    artists: tuple[str, ...] = ()
    """Each artist by itself, as far as the tags tell them apart. Names are never split at `/`, `&` or `feat.`."""
    album: str | None = None
    album_artist: str | None = None
    genre: str | None = None
    """The first of `genres`."""
    genres: tuple[str, ...] = ()
    year: int | None = None
    date: str | None = None
    """ISO 8601 as precise as the tag: `2004`, `2004-05`, `2004-05-06`, `2004-05-06T12:30:00`."""
    track_number: int | None = None
    track_total: int | None = None
    disc_number: int | None = None
    disc_total: int | None = None
    comment: str | None = None
    composer: str | None = None
    remixer: str | None = None
    label: str | None = None
    isrc: str | None = None
    grouping: str | None = None
    compilation: bool = False
    has_lyrics: bool = False
    bpm: float | None = None
    initial_key: str | None = None
    """The key as the tag spells it, also when it means nothing to us."""
    musical_key: int | None = None
    """Tonic in semitones above C, 0-11."""
    mode: int | None = None
    """0 minor, 1 major."""
    rating: int | None = None
    """Stars, 0-5."""
    energy_level: int | None = None
    """0-10, as Mixed In Key writes it."""
    replaygain_track_gain: float | None = None
    """Decibels, relative to the ReplayGain 2.0 reference of -18 LUFS."""
    replaygain_track_peak: float | None = None
    """1.0 is full scale."""
    replaygain_album_gain: float | None = None
    replaygain_album_peak: float | None = None
    has_artwork: bool = False
    artwork_type: str | None = None
    """MIME type of the front cover, or else of the first picture."""
    artwork_size: int | None = None
    """Bytes."""
    encoder: str | None = None

    duration_seconds: float | None = None
    codec: str | None = None
    """`mp3`, `aac`, `alac`, `flac`, `vorbis`, `pcm`, …"""
    container: Container | None = None
    sample_rate: int | None = None
    """Hz."""
    bit_depth: int | None = None
    """Bits per sample of lossless audio; lossy codecs have none."""
    channels: int | None = None
    bit_rate: int | None = None
    """Bits per second."""
    bit_rate_mode: BitRateMode | None = None

    metadata_source: MetadataSource = MetadataSource.TAGS
    tags_error: str | None = None
    """`code: reason` when the file couldn't be read, or not wholly."""

    @property
    def key(self) -> Key | None:
        """The key that `initial_key` means."""
        return None if self.musical_key is None or self.mode is None else Key(self.musical_key, self.mode)
