"""The endpoints of a directory's folders and of its missing files."""

from __future__ import annotations

from collections.abc import Sequence

from marshmallow import Schema, fields, validate

from server import errors, paths
from server.api.answer import Answer, Pagination, joined, ok
from server.api.fields import Flag, PageQuery, StrictSchema, Text, integer
from server.api.route import Call, Route
from server.libraries.cleanup import CleanupService
from server.libraries.service import LibraryService
from server.tracks.schemas import Track
from server.tracks.service import TrackService

_TAG = "library"


class BrowseQuery(StrictSchema):
    path = Text(load_default="", validate=validate.Length(max=4096))
    limit = integer(1, 10_000, load_default=1000)


class FolderOut(Schema):
    name = fields.String(required=True)
    path = fields.String(required=True)
    tracks = fields.Integer(required=True)
    bytes = fields.Integer(required=True)


class BrowseOut(Schema):
    path = fields.String(required=True)
    folders = fields.List(fields.Nested(FolderOut), required=True)
    tracks = fields.List(fields.Nested(Track), required=True)


class MissingQuery(PageQuery):
    class Meta(PageQuery.Meta):
        exclude = ("cursor",)


class CleanupBody(StrictSchema):
    remove_missing_older_than_days = integer(0, 36_500, load_default=30)
    keep_playlists_intact = Flag(load_default=True)
    backup_metadata = Flag(load_default=True)
    dry_run = Flag(load_default=False)


class CleanedOut(Schema):
    matched = fields.Integer(required=True)
    kept = fields.Integer(required=True)
    removed = fields.Integer(required=True)
    dry_run = fields.Boolean(required=True)
    backup = fields.String(required=True, allow_none=True)


class RestoreBody(StrictSchema):
    backup = Text(required=True, validate=validate.Length(1, 200))


_KINDS = ("restored", "cues", "plays", "entries", "history")
_RESTORED = {"type": "object", "required": ["restored"], "properties": {name: {"type": "integer"} for name in _KINDS}}


def routes(libraries: LibraryService, tracks: TrackService, cleanup: CleanupService) -> Sequence[Route]:
    async def browse_directory(call: Call) -> Answer:
        """One folder as the library knows it: its sub-folders with all below them, and its own tracks."""
        directory = await libraries.get(call.path["id"])
        path = paths.inside("path", call.query["path"]) if call.query["path"] else b""
        found = await tracks.browse(directory.id, path, call.query["limit"])
        return ok({"path": path.decode(), "folders": found.folders, "tracks": joined(found.tracks)})

    async def missing_tracks(call: Call) -> Answer:
        """The tracks whose file is missing, the longest-missing first; an unplugged drive's aren't among them."""
        directory = await libraries.get(call.path["id"])
        page, limit = call.query["page"] or 1, call.query["limit"]
        items, total = await tracks.missing_page(directory.id, limit, (page - 1) * limit)
        return Answer(data=joined(items), pagination=Pagination(limit, total, page))

    async def clean_up(call: Call) -> Answer:
        """Forget tracks whose file has been missing for long. Scans never do that."""
        body = call.body
        done = await cleanup.clean(
            call.path["id"],
            days=body["remove_missing_older_than_days"],
            keep_playlists_intact=body["keep_playlists_intact"],
            backup_metadata=body["backup_metadata"],
            dry_run=body["dry_run"],
        )
        return ok(done.as_json())

    async def restore_tracks(call: Call) -> Answer:
        """Bring back what a cleanup removed, from its backup: tracks with the same ids, cues, plays, list entries."""
        return ok(await cleanup.restore(call.path["id"], call.body["backup"]))

    base, not_found = "/library/directories/{id}", [errors.NotFound]
    return [
        Route(
            "GET", f"{base}/browse", browse_directory, query=BrowseQuery(), returns=BrowseOut(), tag=_TAG,
            errors=not_found, is_live=True,
        ),
        Route(
            "GET", f"{base}/missing", missing_tracks, query=MissingQuery(), returns=Track(), tag=_TAG, is_list=True,
            is_paged=True, is_live=True, errors=not_found,
        ),
        Route(
            "POST", f"{base}/cleanup", clean_up, body=CleanupBody(), is_body_required=False, returns=CleanedOut(),
            tag=_TAG, errors=not_found,
        ),
        Route(
            "POST", f"{base}/restore", restore_tracks, body=RestoreBody(), returns=_RESTORED, tag=_TAG,
            errors=not_found,
        ),
    ]  # fmt: skip
