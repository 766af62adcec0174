"""What clients may send about playlists, and what playlists look like in answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from server.api.fields import Flag, Id, PageQuery, StrictSchema, Text, integer, number, past
from server.playlists.model import Kind
from server.playlists.transfer import Format, Paths
from server.tracks.schemas import Track

MAX_TRACKS = 100_000
# A day: nothing that is played or cued is longer.
_MAX_MS = 86_400_000
_TOP = "root"


def _name(**kwargs: Any) -> Text:
    return Text(validate=validate.Length(1, 500), **kwargs)


def _maybe_text(limit: int, **kwargs: Any) -> Text:
    return Text(allow_none=True, validate=validate.Length(max=limit), **kwargs)


def _track_ids(**kwargs: Any) -> fields.List[str]:
    return fields.List(Id(), validate=validate.Length(1, MAX_TRACKS), **kwargs)


def _iso_date(text: str) -> None:
    from datetime import date

    try:
        date.fromisoformat(text)
    except ValueError:
        raise ValidationError("must be a date, like 2026-05-01") from None


def _flag() -> fields.Boolean:
    return Flag()


class ParentField(Text):
    """The id of a folder, or `root` for what lies in none."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        text = super()._deserialize(value, attr, data, **kwargs)
        return text if text == _TOP else Id()._deserialize(text, attr, data)


class ListQuery(PageQuery):
    type = Text(validate=validate.OneOf([kind.value for kind in Kind]), load_default=None)
    is_favorite = Flag(load_default=None)
    search = Text(validate=validate.Length(1, 200), load_default=None)
    parent_id = ParentField(load_default=None, metadata={"description": "a folder's id, or `root`"})


class SearchQuery(PageQuery):
    q = Text(required=True, validate=validate.Length(1, 200))


class GetQuery(StrictSchema):
    include_tracks = Flag(load_default=True)


class ExplainQuery(StrictSchema):
    track_id = Id(load_default=None)


class ExportQuery(StrictSchema):
    format = Text(validate=validate.OneOf([item.value for item in Format]), load_default=Format.M3U8.value)
    paths = Text(validate=validate.OneOf([item.value for item in Paths]), load_default=Paths.ABSOLUTE.value)


class ImportQuery(StrictSchema):
    name = _name(load_default=None)
    parent_id = Id(load_default=None)


class _Described(StrictSchema):
    parent_id = Id(allow_none=True)
    description = _maybe_text(10_000)
    color = _maybe_text(64)
    icon = _maybe_text(200)
    criteria = fields.Dict(keys=fields.String(), allow_none=True)
    is_favorite = _flag()


class PlaylistCreateBody(_Described):
    name = _name(required=True)
    type = Text(
        validate=validate.OneOf(
            [Kind.STATIC.value, Kind.SMART.value, Kind.FOLDER.value],
            error="must be static, smart or folder; sessions and the thinking playlist have their own endpoints",
        ),
        load_default=Kind.STATIC.value,
    )
    track_ids = _track_ids(load_default=list)


class PlaylistChangeBody(_Described):
    name = _name()
    is_readonly = _flag()
    venue = _maybe_text(500)
    date = Text(validate=_iso_date)


class EntriesBody(StrictSchema):
    track_ids = _track_ids(required=True)
    position = integer(0, 10_000_000, load_default=None, allow_none=True, strict=True)
    notes = _maybe_text(10_000, load_default=None)


class ReorderBody(StrictSchema):
    track_ids = fields.List(Id(), validate=validate.Length(max=MAX_TRACKS))
    entry_id = Id()
    position = integer(0, 10_000_000, strict=True)

    @validates_schema
    def _is_one_form(self, data: Mapping[str, Any], **_: Any) -> None:
        if data.keys() not in ({"track_ids"}, {"entry_id", "position"}):
            raise ValidationError("give either track_ids, or entry_id and position")


class RemarksBody(StrictSchema):
    notes = _maybe_text(10_000)
    cue_in_ms = integer(0, _MAX_MS, allow_none=True, strict=True)
    cue_out_ms = integer(0, _MAX_MS, allow_none=True, strict=True)
    rating_in_context = integer(0, 5, allow_none=True, strict=True)

    @validates_schema
    def _is_not_empty(self, data: Mapping[str, Any], **_: Any) -> None:
        if not data:
            raise ValidationError("name at least one field to set")


class PreviewBody(StrictSchema):
    criteria = fields.Dict(keys=fields.String(), required=True)


class PlaylistNameBody(StrictSchema):
    name = _name(required=True)


class PromoteBody(PlaylistNameBody):
    parent_id = Id(load_default=None, allow_none=True)


class ForgetBody(StrictSchema):
    track_ids = _track_ids(load_default=None, metadata={"description": "without it, all of them"})


class MergeBody(StrictSchema):
    source_ids = fields.List(Id(), required=True, validate=validate.Length(1, 1000))
    dedupe = Flag(load_default=False)


class SessionStartBody(StrictSchema):
    venue = _maybe_text(500, load_default=None)
    date = Text(validate=_iso_date, load_default=None, allow_none=True)


class PlayBody(StrictSchema):
    track_id = Id(required=True)
    played_at = past(load_default=None, allow_none=True)
    duration = number(0, 86_400, load_default=None, allow_none=True, metadata={"description": "s on air"})
    notes = _maybe_text(10_000, load_default=None)
    deck = _maybe_text(64, load_default=None)


class ExportedEntry(StrictSchema):
    """An entry in Mismo's own JSON; all that is needed to find the track again, on another machine too."""

    entry_id = Text(load_default=None, allow_none=True)
    position = integer(0, load_default=None, allow_none=True)
    track_id = Text(load_default=None, allow_none=True)
    path = _maybe_text(8192, load_default=None)
    audio_hash = _maybe_text(64, load_default=None)
    title = _maybe_text(4096, load_default=None)
    artist = _maybe_text(4096, load_default=None)
    duration_seconds = number(0, 1e9, load_default=None, allow_none=True)
    added_at = past(load_default=None, allow_none=True)
    played_at = past(load_default=None, allow_none=True)
    play_duration_ms = integer(0, load_default=None, allow_none=True)
    deck = _maybe_text(64, load_default=None)
    notes = _maybe_text(10_000, load_default=None)
    cue_in_ms = integer(0, _MAX_MS, load_default=None, allow_none=True)
    cue_out_ms = integer(0, _MAX_MS, load_default=None, allow_none=True)
    rating_in_context = integer(0, 5, load_default=None, allow_none=True)


class ExportedPlaylist(StrictSchema):
    mismo_playlist = integer(1, 1, required=True, metadata={"description": "version of this format"})
    name = _name(load_default=None, allow_none=True)
    type = Text(load_default=None)
    description = _maybe_text(10_000, load_default=None)
    color = _maybe_text(64, load_default=None)
    icon = _maybe_text(200, load_default=None)
    criteria = fields.Dict(keys=fields.String(), load_default=None, allow_none=True)
    session = fields.Dict(keys=fields.String(), load_default=None, allow_none=True)
    entries = fields.List(fields.Nested(ExportedEntry), required=True, validate=validate.Length(max=MAX_TRACKS))


# -- answers


def _maybe(kind: type[fields.Field[Any]], description: str = "") -> fields.Field[Any]:
    return kind(required=True, allow_none=True, metadata={"description": description} if description else {})


class SessionOut(Schema):
    date = fields.String(required=True)
    venue = _maybe(fields.String)
    duration_seconds = fields.Float(required=True)
    finalized_at = _maybe(fields.DateTime)


class PlaylistOut(Schema):
    id = fields.UUID(required=True)
    name = fields.String(required=True)
    type = fields.String(required=True, metadata={"description": "static, smart, session, temp or folder"})
    parent_id = _maybe(fields.String)
    description = _maybe(fields.String)
    color = _maybe(fields.String)
    icon = _maybe(fields.String)
    criteria = fields.Dict(required=True, allow_none=True)
    is_favorite = fields.Boolean(required=True)
    is_readonly = fields.Boolean(required=True)
    session = fields.Nested(SessionOut, required=True, allow_none=True)
    track_count = fields.Integer(required=True)
    total_duration = fields.Float(required=True, metadata={"description": "s"})
    last_refreshed = _maybe(fields.DateTime)
    created_at = fields.DateTime(required=True)
    updated_at = fields.DateTime(required=True)


class PlainEntryOut(Schema):
    entry_id = fields.UUID(required=True)
    position = fields.Integer(required=True, metadata={"description": "from 0, dense"})
    track_id = fields.UUID(required=True)
    title = _maybe(fields.String, "as it was when the session played it")
    artist = _maybe(fields.String, "as it was when the session played it")
    added_at = fields.DateTime(required=True)
    played_at = _maybe(fields.DateTime)
    play_duration_ms = _maybe(fields.Integer)
    deck = _maybe(fields.String)
    notes = _maybe(fields.String)
    cue_in_ms = _maybe(fields.Integer)
    cue_out_ms = _maybe(fields.Integer)
    rating_in_context = _maybe(fields.Integer, "0-5")


class EntryOut(PlainEntryOut):
    track = fields.Nested(Track, required=True, allow_none=True)


class PlaylistWithEntriesOut(PlaylistOut):
    entries = fields.List(fields.Nested(EntryOut), metadata={"description": "unless include_tracks is false"})


class RefreshedOut(Schema):
    added = fields.List(fields.String(), required=True)
    removed = fields.List(fields.String(), required=True)
    total = fields.Integer(required=True)


class ExplainOut(Schema):
    explanation = fields.String(required=True)
    included = fields.Boolean(metadata={"description": "with track_id"})
    reasons = fields.List(fields.String(), metadata={"description": "with track_id"})


class PreviewOut(Schema):
    count = fields.Integer(required=True)
    total_duration = fields.Float(required=True, metadata={"description": "s"})
    tracks = fields.List(fields.Nested(Track), required=True)
    explanation = fields.String(required=True)


class CountOut(Schema):
    value = fields.String(required=True)
    count = fields.Integer(required=True)


class TempoOut(Schema):
    min = _maybe(fields.Float)
    max = _maybe(fields.Float)
    mean = _maybe(fields.Float)


class EnergyOut(Schema):
    position = fields.Integer(required=True)
    energy = _maybe(fields.Float)


class PlaylistStatsOut(Schema):
    track_count = fields.Integer(required=True)
    missing_count = fields.Integer(required=True)
    total_duration = fields.Float(required=True, metadata={"description": "s"})
    bpm = fields.Nested(TempoOut, required=True)
    keys = fields.List(fields.Nested(CountOut), required=True)
    genres = fields.List(fields.Nested(CountOut), required=True)
    energy_curve = fields.List(fields.Nested(EnergyOut), required=True)


class MergedOut(Schema):
    added = fields.Integer(required=True)
    playlist = fields.Nested(PlaylistOut, required=True)


class UnmatchedOut(Schema):
    line = fields.Integer(required=True)
    text = fields.String(required=True)
    title = _maybe(fields.String)
    artist = _maybe(fields.String)
    reason = fields.String(required=True)


class ImportedOut(Schema):
    playlist = fields.Nested(PlaylistOut, required=True)
    encoding = fields.String(required=True)
    total = fields.Integer(required=True)
    matched = fields.Integer(required=True)
    unmatched = fields.List(fields.Nested(UnmatchedOut), required=True)
