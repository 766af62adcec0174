"""The endpoints of library directories."""

from __future__ import annotations

from collections.abc import Sequence

from marshmallow import Schema, ValidationError, fields, validate

from server import errors
from server.api.answer import Answer, Pagination, created, ok
from server.api.fields import Flag, StrictSchema, Text, integer
from server.api.route import Call, Route
from server.libraries.service import DirectoryExists, LibraryService, Nested

_TAG = "library"


def _is_glob(pattern: str) -> None:
    if pattern.startswith("/") or "\\" in pattern:
        raise ValidationError("a glob is matched against the path inside the directory, with / between folders")


def _globs() -> fields.List[str]:
    return fields.List(Text(validate=[validate.Length(1, 500), _is_glob]), validate=validate.Length(max=200))


class ChangeBody(StrictSchema):
    name = Text(validate=validate.Length(1, 200))
    is_active = Flag()
    is_removable = Flag()
    recursive_scan = Flag()
    max_depth = integer(-1, 1000)
    scan_patterns = _globs()
    exclude_patterns = _globs()
    follow_symlinks = Flag()
    priority = integer(-1000, 1000)
    watch = Flag()


class AddBody(ChangeBody):
    path = Text(required=True, validate=validate.Length(1, 4096))


class ListQuery(StrictSchema):
    is_active = Flag(load_default=None)
    is_available = Flag(load_default=None)


class RemoveQuery(StrictSchema):
    delete_tracks = Flag(load_default=False)


class FileSystemOut(Schema):
    type = fields.String(required=True, allow_none=True)
    is_network = fields.Boolean(required=True)
    device = fields.String(required=True, allow_none=True)
    mount_point = fields.String(required=True, allow_none=True)


class LibraryDirectory(Schema):
    id = fields.UUID(required=True)
    path = fields.String(required=True)
    name = fields.String(required=True)
    is_active = fields.Boolean(required=True)
    is_removable = fields.Boolean(required=True)
    is_available = fields.Boolean(required=True)
    unavailable_reason = fields.String(required=True, allow_none=True)
    filesystem = fields.Nested(FileSystemOut, required=True)
    recursive_scan = fields.Boolean(required=True)
    max_depth = fields.Integer(required=True, metadata={"description": "-1 = any"})
    scan_patterns = fields.List(fields.String(), required=True)
    exclude_patterns = fields.List(fields.String(), required=True)
    follow_symlinks = fields.Boolean(required=True)
    priority = fields.Integer(required=True)
    watch = fields.Boolean(required=True)
    watch_state = fields.String(required=True, metadata={"description": "off, watching or polling"})
    watch_detail = fields.String(required=True, allow_none=True)
    last_scan = fields.DateTime(required=True, allow_none=True)
    scan_status = fields.String(required=True)
    total_tracks = fields.Integer(required=True)
    total_missing = fields.Integer(required=True)
    created_at = fields.DateTime(required=True)


_STATS = {
    "type": "object",
    "required": ["tracks", "missing", "bytes", "duration_seconds", "formats", "oldest", "newest", "analyzed_share"],
    "properties": {
        "tracks": {"type": "integer"},
        "missing": {"type": "integer"},
        "bytes": {"type": "integer"},
        "duration_seconds": {"type": "number"},
        "formats": {"type": "object", "additionalProperties": {"type": "integer"}},
        "oldest": {"type": ["string", "null"], "format": "date-time"},
        "newest": {"type": ["string", "null"], "format": "date-time"},
        "analyzed_share": {"type": "number"},
    },
}
_REMOVED = {"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}}}


def routes(libraries: LibraryService) -> Sequence[Route]:
    async def list_directories(call: Call) -> Answer:
        """The library directories."""
        found = [
            await libraries.describe(directory)
            for directory in await libraries.all()
            if call.query["is_active"] in (None, directory.is_active)
            and call.query["is_available"] in (None, directory.is_available)
        ]
        return Answer(data=found, pagination=Pagination(max(1, len(found)), len(found), 1))

    async def add_directory(call: Call) -> Answer:
        """Manage a folder from now on.

        It must be a readable directory that neither contains nor lies in another library directory.
        """
        values = {name: value for name, value in call.body.items() if name != "path"}
        directory = await libraries.add(call.body["path"], values)
        return created(await libraries.describe(directory), f"/api/library/directories/{directory.id}")

    async def get_directory(call: Call) -> Answer:
        """One library directory."""
        return ok(await libraries.describe(await libraries.get(call.path["id"])))

    async def change_directory(call: Call) -> Answer:
        """Change a library directory."""
        return ok(await libraries.describe(await libraries.change(call.path["id"], call.body)))

    async def remove_directory(call: Call) -> Answer:
        """Stop managing a folder; files are never touched. Its tracks wait as missing, unless `delete_tracks`."""
        await libraries.remove(call.path["id"], delete_tracks=call.query["delete_tracks"])
        return ok({"id": call.path["id"]})

    async def check_availability(call: Call) -> Answer:
        """Look now whether a directory is there."""
        return ok(await libraries.describe(await libraries.check(call.path["id"])))

    async def check_all_availability(_: Call) -> Answer:
        """Look now whether each directory is there."""
        return ok([await libraries.describe(directory) for directory in await libraries.check_all()])

    async def directory_stats(call: Call) -> Answer:
        """The figures of one library directory."""
        return ok(await libraries.statistics(call.path["id"]))

    one, not_found = LibraryDirectory(), [errors.NotFound]
    base = "/library/directories"
    return [
        Route(
            "GET", base, list_directories, query=ListQuery(), returns=one, tag=_TAG, is_list=True, is_paged=True,
            is_live=True,
        ),
        Route(
            "POST", base, add_directory, body=AddBody(), returns=one, status=201, tag=_TAG,
            errors=[DirectoryExists, Nested],
        ),
        Route("POST", f"{base}/check-all-availability", check_all_availability, returns=one, is_list=True, tag=_TAG),
        Route("GET", base + "/{id}", get_directory, returns=one, tag=_TAG, errors=not_found, is_live=True),
        Route("PUT", base + "/{id}", change_directory, body=ChangeBody(), returns=one, tag=_TAG, errors=not_found),
        Route(
            "DELETE", base + "/{id}", remove_directory, query=RemoveQuery(), returns=_REMOVED, tag=_TAG,
            errors=not_found,
        ),
        Route("POST", base + "/{id}/check-availability", check_availability, returns=one, tag=_TAG, errors=not_found),
        Route(
            "GET", base + "/{id}/stats", directory_stats, returns=_STATS, tag=_TAG, errors=not_found, is_live=True,
        ),
    ]  # fmt: skip
