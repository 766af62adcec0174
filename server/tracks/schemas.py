"""What clients may send about tracks, and what a track looks like in answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from server.api.fields import (
    CommaList,
    Flag,
    Id,
    PageQuery,
    Repeated,
    StrictSchema,
    Text,
    Timestamp,
    integer,
    number,
)
from server.metadata import date as dates
from server.metadata import key as keys
from server.metadata.key import Key
from server.tracks import facets
from server.tracks.filters import EQUALS, MOMENTS, RANGES
from server.tracks.listing import SORTABLE

_WHOLE_RANGES = {"year", "rating", "energy_level", "bit_rate", "play_count"}


class KeyText(fields.Field[Key]):
    """A key as DJs write it: `8A`, `Am`, `1m`."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Key:
        key = keys.parse(value) if isinstance(value, str) else None
        if key is None:
            raise ValidationError("must be a key, like 8A, Am or 1m")
        return key


class DateText(Text):
    """A release date, as precise as it is known: `1999`, `1999-05`, `1999-05-06`."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        text = super()._deserialize(value, attr, data, **kwargs)
        _, date = dates.parse(text) if len(text) <= 64 else (None, None)
        # What isn't a month, a day or a time would be dropped; a zone may be.
        if date is None or len(date) < min(len(text.strip()), len("2026-05-01T20:15:04")):
            raise ValidationError("must be a date, like 1999, 1999-05 or 1999-05-06")
        return date


def _filter_fields() -> dict[str, fields.Field[Any]]:
    found: dict[str, fields.Field[Any]] = {}
    for name in EQUALS:
        found[name] = Repeated(Text(), load_default=None)
        found[f"{name}_contains"] = Repeated(
            Text(validate=validate.Length(min=1)), data_key=f"{name}~", load_default=None
        )
    for name in RANGES:
        for end in ("min", "max"):
            found[f"{name}_{end}"] = (
                integer(-(2**53), 2**53, load_default=None)
                if name in _WHOLE_RANGES
                else number(-1e15, 1e15, load_default=None)
            )
    for name in MOMENTS:
        for side in ("after", "before"):
            found[f"{name}_{side}"] = Timestamp(load_default=None)
    found |= {
        "key": Repeated(integer(0, 11), load_default=None, metadata={"description": "tonic, C = 0"}),
        "mode": Repeated(integer(0, 1), load_default=None, metadata={"description": "0 minor, 1 major"}),
        "camelot": Repeated(KeyText(), load_default=None),
        "compatible_with": Repeated(KeyText(), load_default=None),
        "never_played": Flag(load_default=None),
        "format": Repeated(Text(), load_default=None),
        "library_id": Repeated(Text(), load_default=None),
        "path_prefix": Repeated(Text(validate=validate.Length(min=1)), load_default=None),
        "is_missing": Flag(load_default=None),
        "is_analyzed": Flag(load_default=None),
        "is_favorite": Flag(load_default=None),
        "has_artwork": Flag(load_default=None),
        "color_tag": Repeated(Text(), load_default=None),
        "tag": Repeated(Text(), load_default=None),
        "duplicate_group_id": Repeated(Text(), load_default=None),
        "is_duplicate": Flag(load_default=None),
        "ids": CommaList(load_default=None),
    }
    for field in found.values():
        # In JSON a filter may be null, and then it isn't no filter: that would stand for the whole library.
        field.allow_none = False
    return found


FilterQuery = StrictSchema.from_dict(_filter_fields(), name="FilterQuery")


class ListQuery(PageQuery, FilterQuery):  # type: ignore[valid-type, misc] # the base is made from the filters' table
    sort = CommaList(one_of=frozenset(SORTABLE), is_signed=True, load_default=list)
    order = Text(validate=validate.OneOf(["asc", "desc"]), load_default="asc")


class SearchQuery(FilterQuery):  # type: ignore[valid-type, misc] # the base is made from the filters' table
    # Any text at all: nothing that is typed into a search box is a mistake.
    q = fields.String(required=True)
    page = integer(1, 10_000, load_default=1)
    limit = integer(1, 1000, load_default=50)


class FacetsQuery(FilterQuery):  # type: ignore[valid-type, misc] # the base is made from the filters' table
    fields = CommaList(one_of=facets.NAMES, required=True)
    limit = integer(1, 1000, load_default=100)


class DeltaQuery(StrictSchema):
    since = integer(0, 2**62, load_default=0)
    limit = integer(1, 1000, load_default=500)


def _text(limit: int = 4096) -> Text:
    return Text(allow_none=True, validate=validate.Length(max=limit))


def _texts() -> fields.List[str]:
    return fields.List(Text(validate=validate.Length(1, 500)), allow_none=True, validate=validate.Length(max=100))


class Edits(StrictSchema):
    """A user's edit. Null takes the value back: the file's own, or none."""

    rating = integer(0, 5, allow_none=True)
    color_tag = _text(64)
    energy_level = integer(0, 10, allow_none=True)
    is_favorite = Flag()
    tags = _texts()
    bpm = number(1, 1000, allow_none=True)
    key = KeyText(allow_none=True)
    title = Text(allow_none=True, validate=validate.Length(1, 4096))
    artist = _text()
    artists = _texts()
    album = _text()
    album_artist = _text()
    genre = _text()
    genres = _texts()
    year = integer(0, 9999, allow_none=True)
    date = DateText(allow_none=True)
    track_number = integer(0, 99999, allow_none=True)
    track_total = integer(0, 99999, allow_none=True)
    disc_number = integer(0, 9999, allow_none=True)
    disc_total = integer(0, 9999, allow_none=True)
    comment = _text(65536)
    composer = _text()
    remixer = _text()
    label = _text()
    isrc = _text(64)
    grouping = _text()
    compilation = Flag(allow_none=True)
    first_beat_offset = number(0, 86_400, allow_none=True, metadata={"description": "s"})
    first_phrase_beat_no = integer(0, 1_000_000, allow_none=True)

    @validates_schema
    def _is_not_empty(self, data: Mapping[str, Any], **_: Any) -> None:
        if not data:
            raise ValidationError("name at least one field to set")


class BulkFilter(FilterQuery):  # type: ignore[valid-type, misc] # the base is made from the filters' table
    """The same filters as a list's, as JSON: a value that may be repeated is a list."""


class BulkBody(StrictSchema):
    ids = fields.List(Id(), validate=validate.Length(1, 100_000), load_default=None)
    filter = fields.Nested(BulkFilter, load_default=None)
    set = fields.Nested(Edits, required=True)

    @validates_schema
    def _is_one_selection(self, data: Mapping[str, Any], **_: Any) -> None:
        if (data.get("ids") is None) == (data.get("filter") is None):
            raise ValidationError("give either ids or filter")


class AddBody(StrictSchema):
    file_path = Text(required=True, validate=validate.Length(1, 8192))


class ReplayGainOut(Schema):
    track_gain = fields.Float(allow_none=True, metadata={"description": "dB"})
    track_peak = fields.Float(allow_none=True, metadata={"description": "1.0 is full scale"})
    album_gain = fields.Float(allow_none=True)
    album_peak = fields.Float(allow_none=True)


def _maybe(kind: type[fields.Field[Any]], description: str = "", **kwargs: Any) -> fields.Field[Any]:
    metadata = {"description": description} if description else {}
    return kind(required=True, allow_none=True, metadata=metadata, **kwargs)


class Track(Schema):
    id = fields.UUID(required=True)
    library_directory_id = fields.String(required=True)
    file_path = fields.String(required=True)
    relative_path = fields.String(required=True)
    file_name = fields.String(required=True)
    format = fields.String(required=True, metadata={"description": "the file name's extension"})
    container = _maybe(fields.String)
    codec = _maybe(fields.String)
    file_size = fields.Integer(required=True, metadata={"description": "bytes"})
    file_modified = fields.DateTime(required=True)
    audio_hash = _maybe(fields.String, "XXH3-128 of the encoded audio")
    duplicate_group_id = _maybe(fields.String)
    is_missing = fields.Boolean(required=True)
    missing_reason = _maybe(fields.String, "file, media or removed")
    missing_since = _maybe(fields.DateTime)
    tags_error = _maybe(fields.String, "why the tags couldn't be read")
    title = _maybe(fields.String)
    artist = _maybe(fields.String)
    artists = fields.List(fields.String(), required=True)
    album = _maybe(fields.String)
    album_artist = _maybe(fields.String)
    genre = _maybe(fields.String)
    genres = fields.List(fields.String(), required=True)
    year = _maybe(fields.Integer)
    date = _maybe(fields.String)
    track_number = _maybe(fields.Integer)
    track_total = _maybe(fields.Integer)
    disc_number = _maybe(fields.Integer)
    disc_total = _maybe(fields.Integer)
    comment = _maybe(fields.String)
    composer = _maybe(fields.String)
    remixer = _maybe(fields.String)
    label = _maybe(fields.String)
    isrc = _maybe(fields.String)
    grouping = _maybe(fields.String)
    compilation = fields.Boolean(required=True)
    has_artwork = fields.Boolean(required=True)
    artwork_type = _maybe(fields.String)
    artwork_size = _maybe(fields.Integer, "bytes")
    has_lyrics = fields.Boolean(required=True)
    encoder = _maybe(fields.String)
    metadata_source = fields.String(required=True, metadata={"description": "tags, filename or user"})
    duration_seconds = _maybe(fields.Float)
    sample_rate = _maybe(fields.Integer, "Hz")
    bit_depth = _maybe(fields.Integer)
    bit_rate = _maybe(fields.Integer, "bit/s")
    bit_rate_mode = _maybe(fields.String)
    channels = _maybe(fields.Integer)
    replaygain = fields.Nested(ReplayGainOut, required=True, allow_none=True)
    bpm = _maybe(fields.Float, "the value in effect: the user's, the analysis's or the tag's")
    bpm_source = _maybe(fields.String, "user, analysis or tag")
    musical_key = _maybe(fields.Integer, "0-11, C = 0")
    mode = _maybe(fields.Integer, "0 minor, 1 major")
    key_name = _maybe(fields.String)
    camelot = _maybe(fields.String)
    key_source = _maybe(fields.String)
    first_beat_offset = _maybe(fields.Float, "s")
    first_phrase_beat_no = _maybe(fields.Integer)
    audible_start_time = _maybe(fields.Float, "s")
    audible_end_time = _maybe(fields.Float, "s")
    energy = _maybe(fields.Float)
    loudness = _maybe(fields.Float)
    danceability = _maybe(fields.Float)
    valence = _maybe(fields.Float)
    arousal = _maybe(fields.Float)
    acousticness = _maybe(fields.Float)
    instrumentalness = _maybe(fields.Float)
    is_analyzed = fields.Boolean(required=True)
    date_analyzed = _maybe(fields.DateTime)
    analysis_stages = fields.List(fields.String(), required=True)
    rating = _maybe(fields.Integer, "0-5")
    color_tag = _maybe(fields.String)
    energy_level = _maybe(fields.Integer, "0-10")
    is_favorite = fields.Boolean(required=True)
    tags = fields.List(fields.String(), required=True)
    play_count = fields.Integer(required=True)
    last_played = _maybe(fields.DateTime)
    date_added = fields.DateTime(required=True)
    updated_at = fields.DateTime(required=True)


class VerifyOut(Schema):
    id = fields.UUID(required=True)
    is_present = fields.Boolean(required=True)
    is_same_size = _maybe(fields.Boolean)
    is_same_audio = _maybe(fields.Boolean)
    audio_hash = _maybe(fields.String, "of the file as it is now")
    error = _maybe(fields.String)


class BulkOut(Schema):
    matched = fields.Integer(required=True)


class DeltaOut(Schema):
    added = fields.List(fields.Nested(Track), required=True)
    updated = fields.List(fields.Nested(Track), required=True)
    deleted = fields.List(fields.String(), required=True)
    seq = fields.Integer(required=True)
    has_more = fields.Boolean(required=True)
