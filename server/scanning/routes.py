"""The endpoints of scans."""

from __future__ import annotations

from collections.abc import Sequence

import orjson
from marshmallow import Schema, fields, validate

from server import errors
from server.api.answer import Answer, Pagination, accepted, created, ok
from server.api.fields import Id, PageQuery, StrictSchema, Text
from server.api.route import Call, Route
from server.libraries.service import DirectoryUnavailable
from server.scanning.model import Priority, Strategy
from server.scanning.service import NoScan, ScanActive, ScanService
from server.scanning.single import SingleFiles, as_json
from server.tracks.schemas import Track
from server.tracks.service import TrackService

_TAG = "scan"


class ScanBody(StrictSchema):
    strategy = fields.Enum(Strategy, by_value=True, load_default=Strategy.HYBRID)
    priority = Text(validate=validate.OneOf([priority.name.lower() for priority in Priority]), load_default="normal")
    path = Text(load_default=None, allow_none=True, validate=validate.Length(1, 4096))


class HistoryQuery(PageQuery):
    class Meta(PageQuery.Meta):
        exclude = ("cursor",)

    library_id = Id(load_default=None)


class FailureOut(Schema):
    path = fields.String(required=True)
    code = fields.String(required=True)
    reason = fields.String(required=True)


class CountsOut(Schema):
    found = fields.Integer(required=True)
    added = fields.Integer(required=True)
    updated = fields.Integer(required=True)
    moved = fields.Integer(required=True)
    restored = fields.Integer(required=True)
    missing = fields.Integer(required=True)
    unchanged = fields.Integer(required=True)
    failed = fields.Integer(required=True)


class Scan(Schema):
    id = fields.UUID(required=True)
    library_directory_id = fields.UUID(required=True)
    strategy = fields.String(required=True)
    priority = fields.String(required=True)
    path = fields.String(required=True)
    state = fields.String(required=True)
    created_at = fields.DateTime(required=True)
    started_at = fields.DateTime(required=True, allow_none=True)
    finished_at = fields.DateTime(required=True, allow_none=True)
    counts = fields.Nested(CountsOut, required=True)
    failures = fields.List(fields.Nested(FailureOut), required=True)
    error = fields.String(required=True, allow_none=True)


class FileBody(StrictSchema):
    file_path = Text(required=True, validate=validate.Length(1, 4096))


class VerdictOut(Schema):
    id = fields.UUID(required=True)
    present = fields.Boolean(required=True)
    same_size = fields.Boolean(required=True, allow_none=True)
    same_audio_hash = fields.Boolean(required=True, allow_none=True)
    file_size = fields.Integer(required=True, allow_none=True)
    audio_hash = fields.String(required=True, allow_none=True)
    failures = fields.List(fields.Nested(FailureOut), required=True)


def file_routes(files: SingleFiles, tracks: TrackService) -> Sequence[Route]:
    async def add_track(call: Call) -> Answer:
        """Take one file into the library now; it must lie inside a library directory.

        A file that is a track already, moved or edited maybe, answers 200 with that track as it is now.
        """
        track_id, is_new = await files.add(call.body["file_path"])
        track = orjson.Fragment(await tracks.get(track_id))
        return created(track, f"/api/tracks/{track_id}") if is_new else ok(track)

    async def verify_track(call: Call) -> Answer:
        """Read the track's file again: is it there, has it the same size, the same audio? Changes nothing."""
        return ok(as_json(call.path["id"], await files.verify(call.path["id"])))

    return [
        Route(
            "POST", "/tracks", add_track, body=FileBody(), returns=Track(), status=201, may_be_known=True, tag="tracks",
            errors=[DirectoryUnavailable],
        ),
        Route(
            "GET", "/tracks/{id}/verify", verify_track, returns=VerdictOut(), tag="tracks",
            errors=[errors.NotFound, DirectoryUnavailable],
        ),
    ]  # fmt: skip


def routes(scans: ScanService) -> Sequence[Route]:
    async def start_scan(call: Call) -> Answer:
        """Scan a library directory, or a folder in it."""
        body = call.body
        scan = await scans.start(call.path["id"], body["strategy"], Priority[body["priority"].upper()], body["path"])
        return accepted(scan.as_json(), f"/api/scan/{scan.id}")

    async def scan_status(call: Call) -> Answer:
        """The directory's present scan, or its latest."""
        return ok((await scans.status(call.path["id"])).as_json())

    async def cancel_scan(call: Call) -> Answer:
        """Cancel the directory's scan; what it has found so far is kept."""
        return ok((await scans.cancel(call.path["id"])).as_json())

    async def pause_scan(call: Call) -> Answer:
        """Hold the directory's scan."""
        return ok((await scans.pause(call.path["id"])).as_json())

    async def resume_scan(call: Call) -> Answer:
        """Let a paused scan go on."""
        return ok((await scans.resume(call.path["id"])).as_json())

    async def active_scans(_: Call) -> Answer:
        """Scans that are queued, running or paused."""
        found = [scan.as_json() for scan in await scans.active()]
        return Answer(data=found, pagination=Pagination(max(1, len(found)), len(found), 1))

    async def scan_history(call: Call) -> Answer:
        """Past and present scans, newest first."""
        page, limit = call.query["page"] or 1, call.query["limit"]
        found, total = await scans.history(call.query["library_id"], limit, (page - 1) * limit)
        return Answer(data=[scan.as_json() for scan in found], pagination=Pagination(limit, total, page))

    async def get_scan(call: Call) -> Answer:
        """One scan."""
        return ok((await scans.get(call.path["id"])).as_json())

    one, base = Scan(), "/scan/library/{id}"
    missing = [errors.NotFound, NoScan]
    return [
        Route(
            "POST", base, start_scan, body=ScanBody(), is_body_required=False, returns=one, status=202, tag=_TAG,
            errors=[errors.NotFound, ScanActive, DirectoryUnavailable],
        ),
        Route("GET", f"{base}/status", scan_status, returns=one, tag=_TAG, errors=missing, is_live=True),
        Route("DELETE", base, cancel_scan, returns=one, tag=_TAG, errors=missing),
        Route("POST", f"{base}/pause", pause_scan, returns=one, tag=_TAG, errors=[*missing, errors.Conflict]),
        Route("POST", f"{base}/resume", resume_scan, returns=one, tag=_TAG, errors=[*missing, errors.Conflict]),
        Route(
            "GET", "/scan/active", active_scans, returns=one, is_list=True, is_paged=True, tag=_TAG, is_live=True,
        ),
        Route(
            "GET", "/scan/history", scan_history, query=HistoryQuery(), returns=one, is_list=True, is_paged=True,
            tag=_TAG, is_live=True,
        ),
        Route("GET", "/scan/{id}", get_scan, returns=one, tag=_TAG, errors=[errors.NotFound], is_live=True),
    ]  # fmt: skip
