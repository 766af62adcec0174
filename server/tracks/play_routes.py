"""The endpoints of playing, and what a local engine needs to open a track's file."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from marshmallow import Schema, fields, validate

from server import errors
from server.api.answer import Answer, Raw, ok
from server.api.fields import StrictSchema, Text, integer, number, past
from server.api.route import Call, Route
from server.tracks.files import ArtworkNotFound, FileService
from server.tracks.plays import Playback, PlayService

_DECK = validate.Length(1, 64)


class LoadBody(StrictSchema):
    deck = Text(load_default=None, allow_none=True, validate=_DECK)
    at = past(load_default=None, allow_none=True)


class PlaybackBody(LoadBody):
    event = fields.Enum(Playback, by_value=True, required=True)
    position = number(0, 1e6, load_default=None, allow_none=True, metadata={"description": "s"})


class PlaybackOut(Schema):
    id = fields.String(required=True)
    counted = fields.Boolean(required=True, metadata={"description": "whether this made it a play"})


class LoadOut(Schema):
    id = fields.String(required=True)


class HistoryQuery(StrictSchema):
    limit = integer(1, 1000, load_default=100)


_HISTORY = {
    "type": "object",
    "required": ["at", "event"],
    "properties": {
        "at": {"type": "string", "format": "date-time"},
        "event": {
            "type": "string",
            "description": "load, start, stop, complete, played; added, moved, missing, restored, retagged, replaced",
        },
        "deck": {"type": ["string", "null"]},
        "position": {"type": ["number", "null"], "description": "s"},
        "from": {"type": "string", "description": "relative to its library directory, as `to` is to its own"},
        "to": {"type": "string"},
        "from_directory_id": {"type": "string", "description": "when it moved to another library directory"},
        "to_directory_id": {"type": "string"},
        "fields": {"type": "array", "items": {"type": "string"}},
    },
}


class ArtworkQuery(StrictSchema):
    size = fields.String(load_default="original", validate=validate.OneOf(["original"]))


class FileOut(Schema):
    id = fields.String(required=True)
    path = fields.String(required=True, metadata={"description": "absolute; bytes that aren't UTF-8 as U+FFFD"})
    path_bytes = fields.String(required=True, metadata={"description": "the same, byte for byte, in Base64"})
    exists = fields.Boolean(required=True)
    size = fields.Integer(required=True, allow_none=True, metadata={"description": "bytes, now"})
    modified = fields.DateTime(required=True, allow_none=True)
    format = fields.String(required=True)
    container = fields.String(required=True, allow_none=True)
    codec = fields.String(required=True, allow_none=True)
    duration_seconds = fields.Float(required=True, allow_none=True)
    sample_rate = fields.Integer(required=True, allow_none=True)
    channels = fields.Integer(required=True, allow_none=True)


def routes(
    plays: PlayService, files: FileService, have_analysed: Callable[[str], Awaitable[None]]
) -> Sequence[Route]:  # fmt: skip
    async def load_track(call: Call) -> Answer:
        """Note that a track was loaded into a deck. If it isn't analysed yet, it is before all that waits."""
        await plays.load(call.path["id"], call.body["deck"], call.body["at"])
        await have_analysed(call.path["id"])
        return ok({"id": call.path["id"]})

    async def log_playback(call: Call) -> Answer:
        """Note that a deck started, stopped or completed a track.

        It counts as a play, once for each start, when it completes, or stops after `played_after_seconds`.
        """
        body = call.body
        counted = await plays.playback(call.path["id"], body["event"], body["deck"], body["at"], body["position"])
        return ok({"id": call.path["id"], "counted": counted})

    async def track_history(call: Call) -> Answer:
        """What happened to a track, latest first: loads, plays, and what became of its file."""
        return ok(await plays.history(call.path["id"], call.query["limit"]))

    async def track_file(call: Call) -> Answer:
        """The absolute path of a track's file and its facts, for an engine on the same machine."""
        return ok(await files.facts(call.path["id"]))

    async def track_artwork(call: Call) -> Raw:
        """The picture in a track's file: the front cover, or else the first. It is given in its own size."""
        picture = await files.artwork(call.path["id"])
        headers = {"ETag": f'"{picture.digest}"', "Cache-Control": "private, max-age=3600"}
        return Raw(body=picture.data, content_type=picture.mime, headers=headers)

    tag, missing = "tracks", [errors.NotFound]
    return [
        Route("POST", "/tracks/{id}/load", load_track, body=LoadBody(), returns=LoadOut(), tag=tag, errors=missing),
        Route(
            "POST", "/tracks/{id}/playback", log_playback, body=PlaybackBody(), returns=PlaybackOut(), tag=tag,
            errors=missing,
        ),
        Route(
            "GET", "/tracks/{id}/history", track_history, query=HistoryQuery(), returns=_HISTORY, tag=tag,
            errors=missing, is_list=True,
        ),
        Route("GET", "/tracks/{id}/file", track_file, returns=FileOut(), tag=tag, errors=missing),
        Route(
            "GET", "/tracks/{id}/artwork", track_artwork, query=ArtworkQuery(), tag=tag,
            errors=[*missing, ArtworkNotFound], produces="image/*",
        ),
    ]  # fmt: skip
