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
_MAX_BIT_DEPTH = 64
_MAX_BIT_RATE = 10_000_000_000
T = TypeVar("T")

_LONG_FIELDS = ("comment", "description")  # the second where there is no first
_TRUE_TEXTS = ("1", "true", "yes", "y")


def assemble(draft: Draft, container: Container | None, name: str, error: str | None = None) -> Metadata:
    """Metadata of the file called `name`; `error` is `code: reason` of what kept it from being read wholly."""
    tags = draft.tags
    comment = _comment(tags)
    texts = {
        field: found
        for field, values in tags.items()
        if field not in _LONG_FIELDS and (found := text.first(values)) is not None
    }
    get = texts.get
    artists = text.values(tags["artist"]) if "artist" in texts else ()
    artist = artists[0] if artists else None
    if len(artists) <= 1 and "artists" in texts:
        artists = text.values(tags["artists"])
        artist = artist or artists[0]
    title, album = get("title"), get("album")
    track_number, track_total = _place(get("track"), get("track_total"))
    disc_number, disc_total = _place(get("disc"), get("disc_total"))
    source = MetadataSource.TAGS
    if title is None or artist is None:
        guess = filename.guess(name)
        if title is None:
            title, source = guess.title, MetadataSource.FILENAME
            album = album or guess.album
            track_number, disc_number = track_number or guess.track_number, disc_number or guess.disc_number
        if artist is None and guess.artist is not None:
            artist, source = guess.artist, MetadataSource.FILENAME
    genres = text.values(tags["genre"]) if "genre" in texts else ()
    year, release = _date(texts)
    initial_key = get("initial_key")
    parsed_key = key.parse(initial_key) if initial_key else None
    return Metadata(
        title=title,
        artist=artist,
        artists=artists or ((artist,) if artist else ()),
        album=album,
        album_artist=get("album_artist"),
        genre=genres[0] if genres else None,
        genres=genres,
        year=year,
        date=release,
        track_number=track_number,
        track_total=track_total,
        disc_number=disc_number,
        disc_total=disc_total,
        comment=comment,
        composer=get("composer"),
        remixer=get("remixer"),
        label=get("label") or get("publisher"),
        isrc=get("isrc"),
        grouping=get("grouping"),
        compilation=get("compilation", "").lower() in _TRUE_TEXTS,
        has_lyrics=draft.has_lyrics or "lyrics" in texts,
        bpm=_parsed(get("bpm"), tempo.parse),
        initial_key=initial_key,
        musical_key=parsed_key.tonic if parsed_key else None,
        mode=parsed_key.mode if parsed_key else None,
        rating=_rating(draft.rating, texts),
        energy_level=_parsed(get("energy_level"), _energy_level),
        replaygain_track_gain=_gain(texts, "track"),
        replaygain_track_peak=_parsed(get("replaygain_track_peak"), gain.parse_peak),
        replaygain_album_gain=_gain(texts, "album"),
        replaygain_album_peak=_parsed(get("replaygain_album_peak"), gain.parse_peak),
        has_artwork=draft.artwork_size is not None,
        artwork_type=draft.artwork_type and (text.clean(draft.artwork_type, 64) or None),
        artwork_size=draft.artwork_size,
        encoder=get("encoder") or get("encoded_by") or (draft.encoder and text.clean(draft.encoder)),
        duration_seconds=_duration(draft.duration_seconds),
        codec=draft.codec,
        container=container,
        sample_rate=_within(draft.sample_rate, _MAX_SAMPLE_RATE),
        bit_depth=_within(draft.bit_depth, _MAX_BIT_DEPTH),
        channels=_within(draft.channels, _MAX_CHANNELS),
        bit_rate=_bit_rate(draft.bit_rate),
        bit_rate_mode=draft.bit_rate_mode,
        metadata_source=source,
        tags_error=error or draft.problem,
    )


def _parsed(found: str | None, parse: Callable[[str], T | None]) -> T | None:
    return parse(found) if found is not None else None


def _comment(tags: dict[str, list[str]]) -> str | None:
    for field in _LONG_FIELDS:
        if field in tags and (found := text.first(tags[field], text.COMMENT_LIMIT, multiline=True)):
            return found
    return None


def _place(number_text: str | None, total_text: str | None) -> tuple[int | None, int | None]:
    """(number, total), whether they share one tag (`3/11`) or have one each."""
    number, total = numbering.parse(number_text) if number_text else (None, None)
    if total is None and total_text:
        total, _ = numbering.parse(total_text)
    return number, total


def _date(texts: dict[str, str]) -> tuple[int | None, str | None]:
    """The most telling date: of this release, its plain year, or else of the original one."""
    for field in ("date", "year", "release_date", "original_date"):
        if field in texts:
            year, release = date.parse(texts[field])
            if year is not None:
                return year, release
    return None, None


def _gain(texts: dict[str, str], scope: str) -> float | None:
    found = _parsed(texts.get(f"replaygain_{scope}_gain"), gain.parse_gain)
    return found if found is not None else _parsed(texts.get(f"r128_{scope}_gain"), gain.parse_opus_gain)


def _rating(stars: int | None, texts: dict[str, str]) -> int | None:
    if stars is None:
        stars = _parsed(texts.get("fmps_rating"), rating.from_fraction)
    return stars if stars is not None else _parsed(texts.get("rating"), rating.from_free_text)


def _energy_level(written: str) -> int | None:
    return int(written) if written.isdecimal() and int(written) <= 10 else None


def _within(number: int | None, most: int) -> int | None:
    return number if number is not None and 0 < number <= most else None


def _duration(seconds: float | None) -> float | None:
    return seconds if seconds is not None and math.isfinite(seconds) and 0 <= seconds <= _MAX_DURATION else None


def _bit_rate(bits_per_second: float | None) -> int | None:
    if bits_per_second is None or not math.isfinite(bits_per_second) or bits_per_second > _MAX_BIT_RATE:
        return None
    return _within(round(bits_per_second), _MAX_BIT_RATE)
