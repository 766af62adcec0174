"""The endpoints of duplicates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from server import errors
from server.api.answer import Answer, Pagination, accepted, ok
from server.api.route import Call, Route
from server.duplicates import schemas
from server.duplicates.service import MAX_GROUPS, CanonicalMissing, Choice, DuplicateService, NotOpen, NotResolved

_TAG = "duplicates"
_CHOICE = (
    "canonical_track_id", "policy", "merge_metadata", "update_playlists", "dedupe_playlists", "delete_files", "dry_run",
)  # fmt: skip
_MANY = {"type": "object", "required": ["results"], "properties": {"results": {"type": "array"}}}


def routes(duplicates: DuplicateService, *, confirm_deletes: bool) -> Sequence[Route]:
    async def list_duplicates(call: Call) -> Answer:
        """Groups of tracks with the same audio, each with the copy that is suggested to be kept."""
        query = call.query
        page, limit = query["page"] or 1, query["limit"]
        found, total = await duplicates.page(query["status"], query["sort"], limit, (page - 1) * limit)
        return Answer(data=found, pagination=Pagination(limit, total, page))

    async def duplicate_stats(_: Call) -> Answer:
        """How many groups and copies there are, and their bytes."""
        return ok(await duplicates.statistics())

    async def get_duplicate(call: Call) -> Answer:
        """A group with its tracks, and what each ranks by."""
        return ok(await duplicates.get(call.path["id"]))

    async def resolve_duplicate(call: Call) -> Answer:
        """Keep one copy: fill it up from the others, let playlists point to it, and delete the others if told to.

        `dry_run` answers exactly what would happen. The deletions are file operations to the trash.
        """
        return ok(await duplicates.resolve(call.path["id"], _choice(call.body)))

    async def resolve_duplicates(call: Call) -> Answer:
        """Resolve every open group that has a track which passes the filter, under one policy."""
        choice = _choice(call.body)
        found = await duplicates.groups_of(call.body["filter"])
        if len(found) > MAX_GROUPS:
            raise errors.Invalid.field("filter", f"selects {len(found)} groups; the limit is {MAX_GROUPS}")
        return ok({"results": await duplicates.resolve_many(found, choice)})

    async def undo_resolution(call: Call) -> Answer:
        """Take a group's resolution back whole; files come back by the operations in the answer."""
        return accepted(await duplicates.undo(call.path["id"]), f"/api/duplicates/{call.path['id']}")

    async def ignore_duplicate(call: Call) -> Answer:
        """Keep all copies of a group, and stop asking."""
        return ok(await duplicates.ignore(call.path["id"]))

    async def reopen_duplicate(call: Call) -> Answer:
        """Ask again about an ignored group."""
        return ok(await duplicates.reopen(call.path["id"]))

    async def rescan_duplicates(_: Call) -> Answer:
        """Derive all groups anew; they are kept true as the library changes, so this should find nothing to change."""
        changes = await duplicates.scan()
        return ok({"appeared": len(changes.appeared), "changed": len(changes.changed), "gone": len(changes.gone)})

    def _choice(body: Mapping[str, Any]) -> Choice:
        is_real = body["delete_files"] and not body["dry_run"]
        if is_real and confirm_deletes and not body["confirm"]:
            raise errors.Invalid.field("confirm", "must be true to delete files")
        return Choice(**{name: body[name] for name in _CHOICE if name in body})

    one, base, not_found = schemas.DuplicateGroup(), "/duplicates", [errors.NotFound]
    return [
        Route(
            "GET", base, list_duplicates, query=schemas.ListQuery(), returns=one, tag=_TAG,
            is_list=True, is_paged=True, is_live=True,
        ),
        Route("GET", f"{base}/stats", duplicate_stats, returns=schemas.DuplicateStatsOut(), tag=_TAG, is_live=True),
        Route("POST", f"{base}/scan", rescan_duplicates, returns=schemas.RegroupedOut(), tag=_TAG),
        Route(
            "POST", f"{base}/resolve", resolve_duplicates, body=schemas.ResolveManyBody(), returns=_MANY, tag=_TAG,
        ),
        Route(
            "GET", base + "/{id}", get_duplicate, returns=schemas.DuplicateGroupWithTracks(), tag=_TAG,
            errors=not_found, is_live=True,
        ),
        Route(
            "POST", base + "/{id}/resolve", resolve_duplicate, body=schemas.ResolveBody(), is_body_required=False,
            returns=schemas.ResolutionOut(), tag=_TAG, errors=[*not_found, NotOpen, CanonicalMissing],
        ),
        Route(
            "POST", base + "/{id}/undo", undo_resolution, returns=schemas.ResolutionUndoneOut(), status=202, tag=_TAG,
            errors=[*not_found, NotResolved],
        ),
        Route("POST", base + "/{id}/ignore", ignore_duplicate, returns=one, tag=_TAG, errors=[*not_found, NotOpen]),
        Route("POST", base + "/{id}/reopen", reopen_duplicate, returns=one, tag=_TAG, errors=[*not_found, NotOpen]),
    ]  # fmt: skip
