"""The engine's questions over REST: the twin of `getTrackInfo`, and the state of the link."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from marshmallow import Schema, fields

from server import errors
from server.api.answer import Answer, ok
from server.api.route import Call, Route
from server.engine.info import Refused, TrackInfo
from server.engine.link import EngineLink
from server.engine.messages import Refusal

_TAG = "audio engine"


class TrackFileMissing(errors.Conflict):
    """Track file missing"""

    code = "track_file_missing"


class AnalysisNotComplete(errors.Conflict):
    """Analysis not complete"""

    code = "analysis_not_complete"


class PermissionDenied(errors.Forbidden):
    """Permission denied"""

    code = "permission_denied"


_ERRORS: dict[Refusal, type[errors.MismoError]] = {
    Refusal.NOT_FOUND: errors.NotFound,
    Refusal.INVALID: errors.NotFound,
    Refusal.MISSING: TrackFileMissing,
    Refusal.DENIED: PermissionDenied,
}


class EngineCue(Schema):
    index = fields.Integer(required=True)
    position = fields.Float(required=True)
    is_loop = fields.Boolean(required=True, data_key="isLoop")
    loop_end = fields.Float(required=True, allow_none=True, data_key="loopEnd")
    name = fields.String(required=True, allow_none=True)
    color = fields.String(required=True, allow_none=True)


class EngineTrack(Schema):
    track_id = fields.UUID(required=True, data_key="trackId")
    file_path = fields.String(required=True, data_key="filePath")
    file_path_bytes = fields.String(
        data_key="filePathBytes", metadata={"description": "Base64, where the path isn't UTF-8"}
    )
    bpm = fields.Float(required=True, allow_none=True)
    key = fields.String(required=True, allow_none=True)
    mode = fields.String(required=True, allow_none=True)
    camelot = fields.String(required=True, allow_none=True)
    beats_data = fields.List(fields.Float(), required=True)
    downbeats_data = fields.List(fields.Float(), required=True)
    first_beat_offset = fields.Float(required=True, allow_none=True, data_key="firstBeatOffset")
    first_phrase_beat_no = fields.Integer(required=True, allow_none=True, data_key="firstPhraseBeatNo")
    duration_seconds = fields.Float(required=True, allow_none=True, data_key="durationSeconds")
    hot_cues = fields.List(fields.Nested(EngineCue), required=True, data_key="hotCues")


class LinkOut(Schema):
    state = fields.String(
        required=True,
        metadata={"description": "connected, disconnected, disabled, or elsewhere: another server talks to it"},
    )
    url = fields.String(required=True)


def routes(info: TrackInfo, link: EngineLink) -> Sequence[Route]:
    async def engine_track(call: Call) -> Answer:
        """Everything the audio engine needs to play a track: the twin of its `getTrackInfo`."""
        return ok(await _track(call.path["id"], info))

    async def engine_link(_: Call) -> Answer:
        """Whether the audio engine is connected."""
        state = "elsewhere" if link.is_elsewhere() else link.state
        return ok({"state": state if link.url else "disabled", "url": link.url})

    return [
        Route("GET", "/audio-server", engine_link, returns=LinkOut(), tag=_TAG),
        Route(
            "GET", "/audio-server/tracks/{id}", engine_track, returns=EngineTrack(), tag=_TAG,
            errors=[errors.NotFound, TrackFileMissing, AnalysisNotComplete, PermissionDenied],
        ),
    ]  # fmt: skip


async def _track(track_id: str, info: TrackInfo) -> dict[str, Any]:
    try:
        found = await info.find(track_id)
    except Refused as error:
        raise _ERRORS[error.reason](str(error)) from None
    if found.beats is None:
        await info.have_analysed(track_id)
        raise AnalysisNotComplete
    return info.content(found)
