"""What clients may send about duplicates, and what groups look like in answers."""

from __future__ import annotations

from marshmallow import Schema, fields, validate

from server.api.fields import CommaList, Flag, Id, PageQuery, Repeated, StrictSchema, Text
from server.duplicates.model import Policy, Status
from server.duplicates.store import SORTABLE
from server.operations.schemas import FileOperation
from server.tracks.schemas import BulkFilter, Track


def _flag(default: bool) -> fields.Boolean:
    return Flag(load_default=default)


class ListQuery(PageQuery):
    class Meta(PageQuery.Meta):
        exclude = ("cursor",)

    status = Repeated(Text(validate=validate.OneOf([status.value for status in Status])), load_default=list)
    sort = CommaList(one_of=frozenset(SORTABLE), is_signed=True, load_default=lambda: ["created_at"])


class ResolveBody(StrictSchema):
    canonical_track_id = Id(load_default=None)
    policy = fields.Enum(Policy, by_value=True, load_default=Policy.DEFAULT)
    merge_metadata = _flag(True)
    update_playlists = _flag(True)
    dedupe_playlists = _flag(False)
    delete_files = _flag(False)
    confirm = _flag(False)
    dry_run = _flag(False)


class ResolveManyBody(ResolveBody):
    class Meta(ResolveBody.Meta):
        exclude = ("canonical_track_id",)

    filter = fields.Nested(
        BulkFilter, required=True, metadata={"description": "open groups with a track that passes; {} for all"}
    )


class DuplicateGroup(Schema):
    id = fields.UUID(required=True)
    audio_hash = fields.String(required=True)
    status = fields.String(required=True, metadata={"description": "open, resolved or ignored"})
    track_count = fields.Integer(required=True)
    total_bytes = fields.Integer(required=True, metadata={"description": "of the files that are there"})
    reclaimable_bytes = fields.Integer(required=True, metadata={"description": "at least, when one copy is kept"})
    suggested_track_id = fields.UUID(required=True)
    reasons = fields.List(fields.String(), required=True)
    created_at = fields.DateTime(required=True)
    updated_at = fields.DateTime(required=True)


class RankedTrack(Schema):
    rank = fields.Integer(required=True)
    ranked_by = fields.Dict(keys=fields.String(), values=fields.Integer(), required=True)
    track = fields.Nested(Track, required=True)


class DuplicateGroupWithTracks(DuplicateGroup):
    tracks = fields.List(fields.Nested(RankedTrack), required=True)


class PlannedDeletionOut(Schema):
    track_id = fields.UUID(required=True)
    library_directory_id = fields.String(required=True)
    path = fields.String(required=True)
    bytes = fields.Integer(required=True)


class MergedValueOut(Schema):
    before = fields.Raw(required=True, allow_none=True)
    after = fields.Raw(required=True, allow_none=True)


class ResolutionOut(Schema):
    dry_run = fields.Boolean(required=True)
    resolution_id = fields.String(required=True, allow_none=True)
    group = fields.Nested(DuplicateGroup, required=True)
    canonical_track_id = fields.UUID(required=True)
    reasons = fields.List(fields.String(), required=True)
    merged = fields.Dict(keys=fields.String(), values=fields.Nested(MergedValueOut), required=True)
    playlists = fields.List(fields.Dict(), required=True)
    cues = fields.List(fields.Dict(), required=True)
    deletions = fields.List(fields.Nested(PlannedDeletionOut), required=True)
    operations = fields.List(fields.Nested(FileOperation), required=True)


class ResolutionUndoneOut(Schema):
    resolution_id = fields.UUID(required=True)
    group = fields.Nested(DuplicateGroup, required=True)
    operations = fields.List(fields.Nested(FileOperation), required=True)


class RegroupedOut(Schema):
    appeared = fields.Integer(required=True)
    changed = fields.Integer(required=True)
    gone = fields.Integer(required=True)


class DuplicateStatsOut(Schema):
    groups = fields.Integer(required=True)
    copies = fields.Integer(required=True, metadata={"description": "tracks beyond the first of each group"})
    total_bytes = fields.Integer(required=True)
    reclaimable_bytes = fields.Integer(required=True)
    by_status = fields.Dict(keys=fields.String(), values=fields.Integer(), required=True)
