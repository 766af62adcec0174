"""The endpoints of file operations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from server import errors, paths
from server.api.answer import Answer, Pagination, accepted, ok
from server.api.route import Call, Route
from server.libraries.service import DirectoryUnavailable
from server.operations import schemas, template
from server.operations.model import Kind, OnConflict, Operation, Options, Place, Request
from server.operations.organize import Organizer
from server.operations.service import FileMissing, OperationService, WrongState
from server.operations.trash import TrashService
from server.tracks.service import TrackService

_TAG = "operations"
_OPTIONS = ("create_directories", "on_conflict", "with_sidecars", "permanent")


def routes(
    operations: OperationService,
    organizer: Organizer,
    trash: TrashService,
    tracks: TrackService,
    *,
    confirm_deletes: bool,
) -> Sequence[Route]:
    async def move_track(call: Call) -> Answer:
        """Queue a move of a track's file to a path within a library directory, the same or another one."""
        return await _queued_one(_moving(call.path["id"], call.body))

    async def rename_track(call: Call) -> Answer:
        """Queue giving a track's file another name in its folder; the extension stays unless told otherwise."""
        return await _queued_one(await _renaming(call.path["id"], call.body))

    async def delete_track_file(call: Call) -> Answer:
        """Queue moving a track's file to the trash of its library directory, or deleting it for good.

        The track stays in the library as missing, with its lists and cues, until it is cleaned up.
        """
        given = {**(call.body or {}), **{name: value for name, value in call.query.items() if value is not None}}
        return await _queued_one(_deleting(call.path["id"], given))

    async def queue_operations(call: Call) -> Answer:
        """Queue a batch of operations: all of them or none, or (with `atomic: false`) each by itself."""
        wanted = [await _requested(item) for item in call.body["operations"]]
        found = await operations.queue(wanted, is_atomic=call.body["atomic"])
        data = {"batch_id": found[0].batch_id, "operations": [item.as_json() for item in found]}
        return accepted(data, f"/api/operations/{found[0].id}")

    async def organize_files(call: Call) -> Answer:
        """Rename a selection of tracks by their metadata; `dry_run` answers what would become of each."""
        body = call.body
        condition, naming = tracks.condition(body["filter"]), template.parse(body["template"])
        plan = await organizer.plan(condition, naming, body["on_conflict"])
        found = [] if body["dry_run"] else await organizer.queue(plan, body["on_conflict"])
        return accepted(
            {
                "dry_run": body["dry_run"],
                "plan": [item.as_json() for item in plan],
                "operations": [item.as_json() for item in found],
            },
            "/api/operations",
        )

    async def list_operations(call: Call) -> Answer:
        """The journal, newest first."""
        page, limit = call.query["page"] or 1, call.query["limit"]
        found, total = await operations.page(call.query["status"], call.query["track_id"], limit, (page - 1) * limit)
        return Answer(data=[item.as_json() for item in found], pagination=Pagination(limit, total, page))

    async def get_operation(call: Call) -> Answer:
        """One operation."""
        return ok((await operations.get(call.path["id"])).as_json())

    async def undo_operation(call: Call) -> Answer:
        """Queue taking back a finished operation; answers the operation that does it."""
        return _accepted(await operations.undo(call.path["id"]))

    async def retry_operation(call: Call) -> Answer:
        """Queue a failed operation again, with all of its atomic batch."""
        return _accepted(await operations.retry(call.path["id"]))

    async def cancel_operation(call: Call) -> Answer:
        """Cancel a waiting operation, with all of its atomic batch."""
        return ok((await operations.cancel(call.path["id"])).as_json())

    async def list_trash(call: Call) -> Answer:
        """What lies in the trash of a library directory, oldest first."""
        found = [item.as_json() for item in await trash.entries(call.path["id"])]
        return Answer(data=found, pagination=Pagination(max(1, len(found)), len(found), 1))

    async def empty_trash(call: Call) -> Answer:
        """Remove what lies in the trash for good, or only what is older than some days."""
        given = {**(call.body or {}), **{name: value for name, value in call.query.items() if value is not None}}
        _confirm(given)
        gone = await trash.empty(call.path["id"], given.get("older_than_days"))
        return ok({"removed": len(gone), "bytes": sum(item.bytes for item in gone)})

    def _confirm(given: Mapping[str, Any]) -> None:
        if confirm_deletes and not given.get("confirm"):
            raise errors.Invalid.field("confirm", "must be true to delete files")

    async def _queued_one(request: Request) -> Answer:
        (operation,) = await operations.queue([request], is_atomic=True)
        return _accepted(operation)

    async def _requested(item: Mapping[str, Any]) -> Request:
        if item["kind"] == "move":
            return _moving(item["track_id"], item)
        if item["kind"] == "rename":
            return await _renaming(item["track_id"], item)
        return _deleting(item["track_id"], item)

    async def _renaming(track_id: str, body: Mapping[str, Any]) -> Request:
        name = paths.new_name("new_name", body["new_name"])
        target = await operations.renamed(track_id, name, keeps_extension=body.get("keep_extension", True))
        return Request(Kind.RENAME, track_id, target, _options(body))

    def _deleting(track_id: str, body: Mapping[str, Any]) -> Request:
        _confirm(body)
        return Request(Kind.DELETE, track_id, None, _options(body))

    one, not_found = schemas.FileOperation(), [errors.NotFound]
    queueing = [errors.NotFound, FileMissing, DirectoryUnavailable, paths.Outside]
    trash_path = "/library/directories/{id}/trash"
    return [
        Route(
            "POST", "/tracks/{id}/move", move_track, body=schemas.MoveBody(), returns=one, status=202, tag=_TAG,
            errors=queueing,
        ),
        Route(
            "POST", "/tracks/{id}/rename", rename_track, body=schemas.RenameBody(), returns=one, status=202, tag=_TAG,
            errors=queueing,
        ),
        Route(
            "DELETE", "/tracks/{id}/file", delete_track_file, query=schemas.DeleteQuery(), body=schemas.DeleteBody(),
            is_body_required=False, returns=one, status=202, tag=_TAG, errors=queueing,
        ),
        Route(
            "POST", "/operations", queue_operations, body=schemas.BatchBody(), returns=schemas.OperationBatchOut(),
            status=202, tag=_TAG, errors=queueing, body_limit=8 * 1024 * 1024,
        ),
        Route(
            "POST", "/operations/organize", organize_files, body=schemas.OrganizeBody(), returns=schemas.OrganizeOut(),
            status=202, tag=_TAG, errors=queueing,
        ),
        Route(
            "GET", "/operations", list_operations, query=schemas.JournalQuery(), returns=one, tag=_TAG,
            is_list=True, is_paged=True, is_live=True,
        ),
        Route("GET", "/operations/{id}", get_operation, returns=one, tag=_TAG, errors=not_found, is_live=True),
        Route(
            "POST", "/operations/{id}/undo", undo_operation, returns=one, status=202, tag=_TAG,
            errors=[*not_found, WrongState],
        ),
        Route(
            "POST", "/operations/{id}/retry", retry_operation, returns=one, status=202, tag=_TAG,
            errors=[*not_found, WrongState],
        ),
        Route("DELETE", "/operations/{id}", cancel_operation, returns=one, tag=_TAG, errors=[*not_found, WrongState]),
        Route(
            "GET", trash_path, list_trash, returns=schemas.TrashedOut(), tag=_TAG, is_list=True, is_paged=True,
            errors=[*not_found, DirectoryUnavailable],
        ),
        Route(
            "DELETE", trash_path, empty_trash, query=schemas.EmptyTrashQuery(), body=schemas.EmptyTrash(),
            is_body_required=False, returns=schemas.TrashEmptiedOut(), tag=_TAG,
            errors=[*not_found, DirectoryUnavailable],
        ),
    ]  # fmt: skip


def _moving(track_id: str, body: Mapping[str, Any]) -> Request:
    target = Place(body["library_directory_id"], paths.destination("destination_path", body["destination_path"]))
    return Request(Kind.MOVE, track_id, target, _options(body))


def _options(body: Mapping[str, Any]) -> Options:
    given = {name: body[name] for name in _OPTIONS if name in body}
    return Options(**{"on_conflict": OnConflict.FAIL, **given})


def _accepted(operation: Operation) -> Answer:
    return accepted(operation.as_json(), f"/api/operations/{operation.id}")
