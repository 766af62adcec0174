"""What clients may send about analyses, and what answers look like."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from server.analysis.job import Priority, State
from server.analysis.stage import FIRST, Stage
from server.analysis.waveform import BANDS, MEASURES, ZOOM_LEVELS
from server.api.fields import Flag, Id, StrictSchema, Text, integer
from server.tracks.schemas import BulkFilter

_PRIORITIES = [priority.name.lower() for priority in Priority]


class RequestBody(StrictSchema):
    """Which tracks, by one of `track_id`, `track_ids` and `filter`; which stages; how urgently."""

    track_id = Id(load_default=None)
    track_ids = fields.List(Id(), validate=validate.Length(1, 100_000), load_default=None)
    filter = fields.Nested(BulkFilter, load_default=None)
    stages = fields.List(
        Text(validate=validate.OneOf([stage.value for stage in Stage])),
        validate=validate.Length(min=1),
        load_default=lambda: [stage.value for stage in FIRST],
    )
    all = Flag(load_default=False, metadata={"description": "all stages"})
    priority = Text(validate=validate.OneOf(_PRIORITIES), load_default="high")

    @validates_schema
    def _is_one_selection(self, data: Mapping[str, Any], **_: Any) -> None:
        if sum(data.get(name) is not None for name in ("track_id", "track_ids", "filter")) != 1:
            raise ValidationError("give one of track_id, track_ids and filter")


class JobsQuery(StrictSchema):
    status = Text(validate=validate.OneOf([state.value for state in State]), load_default=None)
    page = integer(1, 10_000_000, load_default=1)
    limit = integer(1, 1000, load_default=50)


class ZoomQuery(StrictSchema):
    zoom = integer(
        0,
        ZOOM_LEVELS - 1,
        load_default=None,
        metadata={"description": "all levels without it"},
    )


class AnalysisJob(Schema):
    id = fields.String(required=True, metadata={"description": "the audio hash"})
    audio_hash = fields.String(required=True)
    status = fields.String(required=True, metadata={"description": ", ".join(State)})
    priority = fields.String(required=True)
    stages = fields.List(fields.String(), required=True, metadata={"description": "still to come"})
    attempts = fields.Integer(required=True, metadata={"description": "that failed"})
    error = fields.String(required=True, allow_none=True)
    retry_at = fields.DateTime(required=True, allow_none=True)
    created_at = fields.DateTime(required=True)
    queued_at = fields.DateTime(required=True)
    started_at = fields.DateTime(required=True, allow_none=True)
    finished_at = fields.DateTime(required=True, allow_none=True)


class StageResult(Schema):
    stage = fields.String(required=True)
    status = fields.String(required=True, metadata={"description": "done or unsupported"})
    analyzed_at = fields.DateTime(required=True)
    data = fields.Dict(required=True)


class JobDetail(AnalysisJob):
    track_ids = fields.List(fields.String(), required=True)
    results = fields.List(fields.Nested(StageResult), required=True)


class Skipped(Schema):
    track_id = fields.String(required=True)
    reason = fields.String(required=True)


class RequestedOut(Schema):
    accepted = fields.Integer(required=True, metadata={"description": "audios that were asked for"})
    jobs = fields.List(
        fields.Nested(AnalysisJob),
        required=True,
        metadata={"description": "the first 100 of them"},
    )
    skipped = fields.List(fields.Nested(Skipped), required=True, metadata={"description": "the first 100"})
    skipped_count = fields.Integer(required=True)


class ServerStanding(Schema):
    url = fields.String(required=True)
    state = fields.String(
        required=True,
        metadata={"description": "ok, away, or unknown before it was asked"},
    )
    detail = fields.String(required=True, allow_none=True)


class HealthOut(ServerStanding):
    version = fields.String(required=True, allow_none=True)
    jobs_queued = fields.Integer(required=True, allow_none=True)
    jobs_processing = fields.Integer(required=True, allow_none=True)


class QueueOut(Schema):
    states = fields.Dict(fields.String(), fields.Integer(), required=True)
    priorities = fields.Dict(
        fields.String(),
        fields.Integer(),
        required=True,
        metadata={"description": "of what waits or runs"},
    )
    running = fields.List(fields.Nested(AnalysisJob), required=True)
    rate_per_minute = fields.Float(required=True, metadata={"description": "over the last ten minutes"})
    eta_seconds = fields.Integer(required=True, allow_none=True)
    server = fields.Nested(ServerStanding, required=True)


_PLANE = {"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": 255}}
_BAND = {
    "type": "object",
    "required": list(MEASURES),
    "properties": dict.fromkeys(MEASURES, _PLANE),
}
WAVEFORM: Mapping[str, Any] = {
    "type": "object",
    "required": [
        "audio_hash",
        "zoom_level",
        "samples_per_pixel",
        "num_pixels",
        "bands",
    ],
    "properties": {
        "audio_hash": {"type": "string"},
        "zoom_level": {"type": "integer"},
        "samples_per_pixel": {"type": "number", "description": "of the recording"},
        "num_pixels": {"type": "integer"},
        "bands": {
            "type": "object",
            "required": list(BANDS),
            "properties": dict.fromkeys(BANDS, _BAND),
        },
    },
}
WAVEFORMS: Mapping[str, Any] = {
    "description": "one level with zoom, a list of all of them without",
    "anyOf": [WAVEFORM, {"type": "array", "items": WAVEFORM}],
}


class BeatsOut(Schema):
    track_id = fields.String(required=True)
    beats = fields.List(fields.Float(), required=True, metadata={"description": "s"})


class DownbeatsOut(Schema):
    track_id = fields.String(required=True)
    downbeats = fields.List(fields.Float(), required=True, metadata={"description": "s"})


class StemsOut(Schema):
    stems = fields.Dict(
        fields.String(),
        fields.String(),
        required=True,
        metadata={"description": "name → URL"},
    )
    expires_at = fields.DateTime(required=True)
