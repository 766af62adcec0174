"""From what a reader found to Metadata: fields resolved, text cleaned, values checked, gaps filled from the name."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeVar

from server.hashing.container import Container
from server.metadata import date, filename, gain, key, numbering, rating, tempo, text
from server.metadata.draft import Draft
from server.metadata.model import Metadata, MetadataSource

_MAX_DURATION = 400 * 24 * 3600.0  # s; longer ones come from damaged headers
_MAX_SAMPLE_RATE = 100_000_000
_MAX_CHANNELS = 1024
_MAX_BIT_RATE = 10_000_000_000
T = TypeVar("T")

_TRUE_TEXTS = ("1", "true", "yes", "y")


def assemble(draft: Draft, container: Container | None, name: str, error: str | None = None) -> Metadata:
    """Metadata of the file called `name`; `error` is `code: reason` of what kept it from being read wholly."""
    tags = draft.tags
    title = _first(tags, "title")
    artist_values = _values(tags, "artist")
    artists = _values(tags, "artists") if len(artist_values) <= 1 else artist_values
    artist = artist_values[0] if artist_values else artists[0] if artists else None
    track_number, track_total = _place(tags, "track")
    disc_number, disc_total = _place(tags, "disc")
    album = _first(tags, "album")
    source = MetadataSource.TAGS
    if title is None or artist is None:
        guess = filename.guess(name)
        if title is None:
            title, source = guess.title, MetadataSource.FILENAME
            album = album or guess.album
            track_number, disc_number = track_number or guess.track_number, disc_number or guess.disc_number
        if artist is None and guess.artist is not None:
            artist, source = guess.artist, MetadataSource.FILENAME
    genres = _values(tags, "genre")
    year, release = _date(tags)
    initial_key = _first(tags, "initial_key")
    parsed_key = key.parse(initial_key) if initial_key else None
    sample_rate = draft.sample_rate
    return Metadata(
        title=title,
        artist=artist,
        artists=artists or ((artist,) if artist else ()),
        album=album,
        album_artist=_first(tags, "album_artist"),
        genre=genres[0] if genres else None,
        genres=genres,
        year=year,
        date=release,
        track_number=track_number,
        track_total=track_total,
        disc_number=disc_number,
        disc_total=disc_total,
        comment=_comment(tags),
        composer=_first(tags, "composer"),
        remixer=_first(tags, "remixer"),
        label=_first(tags, "label") or _first(tags, "publisher"),
        isrc=_first(tags, "isrc"),
        grouping=_first(tags, "grouping"),
        compilation=(_first(tags, "compilation") or "").lower() in _TRUE_TEXTS,
        has_lyrics=draft.has_lyrics or "lyrics" in tags,
        bpm=_parsed(tags, "bpm", tempo.parse),
        initial_key=initial_key,
        musical_key=parsed_key.tonic if parsed_key else None,
        mode=parsed_key.mode if parsed_key else None,
        rating=_rating(draft),
        energy_level=_parsed(tags, "energy_level", _energy_level),
        replaygain_track_gain=_gain(tags, "track"),
        replaygain_track_peak=_parsed(tags, "replaygain_track_peak", gain.parse_peak),
        replaygain_album_gain=_gain(tags, "album"),
        replaygain_album_peak=_parsed(tags, "replaygain_album_peak", gain.parse_peak),
        has_artwork=draft.artwork_size is not None,
        artwork_type=draft.artwork_type and (text.clean(draft.artwork_type, 64) or None),
        artwork_size=draft.artwork_size,
        encoder=_first(tags, "encoder") or _first(tags, "encoded_by") or (draft.encoder and text.clean(draft.encoder)),
        duration_seconds=_duration(draft.duration_seconds),
        codec=draft.codec,
        container=container,
        sample_rate=sample_rate if sample_rate and 0 < sample_rate <= _MAX_SAMPLE_RATE else None,
        bit_depth=draft.bit_depth if draft.bit_depth and 0 < draft.bit_depth <= 64 else None,
        channels=draft.channels if draft.channels and 0 < draft.channels <= _MAX_CHANNELS else None,
        bit_rate=_bit_rate(draft.bit_rate),
        bit_rate_mode=draft.bit_rate_mode,
        metadata_source=source,
        tags_error=error or draft.problem,
    )


def _values(tags: dict[str, list[str]], field: str) -> tuple[str, ...]:
    found = tags.get(field)
    return text.values(found) if found else ()


def _first(tags: dict[str, list[str]], field: str) -> str | None:
    found = tags.get(field)
    return text.first(found) if found else None


def _parsed(tags: dict[str, list[str]], field: str, parse: Callable[[str], T | None]) -> T | None:
    found = _first(tags, field)
    return parse(found) if found else None


def _comment(tags: dict[str, list[str]]) -> str | None:
    for field in ("comment", "description"):
        if field in tags and (found := text.first(tags[field], text.COMMENT_LIMIT, multiline=True)):
            return found
    return None


def _place(tags: dict[str, list[str]], field: str) -> tuple[int | None, int | None]:
    """(number, total), whether they share one tag (`3/11`) or have one each."""
    number, total = numbering.parse(_first(tags, field) or "")
    if total is None and (separate := _first(tags, f"{field}_total")):
        total, _ = numbering.parse(separate)
    return number, total


def _date(tags: dict[str, list[str]]) -> tuple[int | None, str | None]:
    """The most telling date: of this release, its plain year, or else of the original one."""
    year: int | None = None
    release: str | None = None
    for field in ("date", "year", "release_date", "original_date"):
        if found := _first(tags, field):
            year, release = date.parse(found)
            if year is not None:
                break
    return year, release


def _gain(tags: dict[str, list[str]], scope: str) -> float | None:
    found = _parsed(tags, f"replaygain_{scope}_gain", gain.parse_gain)
    return found if found is not None else _parsed(tags, f"r128_{scope}_gain", gain.parse_opus_gain)


def _rating(draft: Draft) -> int | None:
    if draft.rating is not None:
        return draft.rating
    stars = _parsed(draft.tags, "fmps_rating", rating.from_fraction)
    return stars if stars is not None else _parsed(draft.tags, "rating", rating.from_free_text)


def _energy_level(written: str) -> int | None:
    return int(written) if written.isdecimal() and int(written) <= 10 else None


def _duration(seconds: float | None) -> float | None:
    return seconds if seconds is not None and math.isfinite(seconds) and 0 <= seconds <= _MAX_DURATION else None


def _bit_rate(bits_per_second: float | None) -> int | None:
    if bits_per_second is None or not math.isfinite(bits_per_second) or not 0 <= bits_per_second <= _MAX_BIT_RATE:
        return None
    return round(bits_per_second)
