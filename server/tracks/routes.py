"""The endpoints of the tracks."""

from __future__ import annotations

from collections.abc import Sequence

import orjson
from marshmallow import fields

from server import errors
from server.api.answer import Answer, Pagination, joined, ok
from server.api.route import Call, Route
from server.tracks import cursor as cursors
from server.tracks import schemas
from server.tracks.cue_routes import CueOut
from server.tracks.cues import CueService
from server.tracks.listing import parse_sort
from server.tracks.service import TrackService

_TAG = "tracks"
_SEARCH_EXTRA = {"is_total_exact": {"type": "boolean", "description": "false: there are at least `total`"}}
_ANY_LIST = {"type": "object", "additionalProperties": {"type": "array"}}


def routes(tracks: TrackService, cues: CueService) -> Sequence[Route]:
    async def described(track_id: str) -> orjson.Fragment:
        json = await tracks.get(track_id)
        return orjson.Fragment(json[:-1] + b',"hot_cues":' + orjson.dumps(await cues.merged(track_id)) + b"}")

    async def list_tracks(call: Call) -> Answer:
        """List, filter, sort and page tracks.

        Filters combine with AND, a repeated one is OR. Page by `page`, or faster by `cursor`.
        """
        query = call.query
        order = parse_sort(query["sort"], query["order"])
        filters = tracks.condition(query)
        limit, page = query["limit"], query["page"]
        if query["cursor"] is None:
            page = page or 1
            total, after, offset = await tracks.count(filters), None, (page - 1) * limit
        elif page is None:
            position = cursors.decode(query["cursor"], filters, order)
            total, after, offset = position.total, position.after, 0
        else:
            raise errors.Invalid.field("page", "can't be combined with cursor")
        items, last = await tracks.list_page(filters, order, limit, after=after, offset=offset)
        cursor = None if last is None else cursors.encode(cursors.Position(total, last), filters, order)
        return Answer(data=joined(items), pagination=Pagination(limit, total, page, cursor))

    async def search_tracks(call: Call) -> Answer:
        """Search tracks by words, best match first.

        The last word matches by its beginning. `"phrases"`, `-not` and `field:word` are understood; all else is text.
        """
        query = call.query
        page, limit = query["page"], query["limit"]
        items, hits = await tracks.search(query["q"], tracks.condition(query), limit, (page - 1) * limit)
        return Answer(
            data=joined(items),
            pagination=Pagination(limit, hits.total, page),
            extra={"is_total_exact": hits.is_total_exact},
        )

    async def track_stats(_: Call) -> Answer:
        """The figures of the whole library."""
        return ok(await tracks.statistics())

    async def track_facets(call: Call) -> Answer:
        """Values of fields with counts, under the present filters."""
        return ok(await tracks.facets(call.query["fields"], tracks.condition(call.query), call.query["limit"]))

    async def get_track(call: Call) -> Answer:
        """One track."""
        return ok(await described(call.path["id"]))

    async def edit_track(call: Call) -> Answer:
        """Edit user data and metadata in the library; the file isn't touched."""
        await tracks.edit(call.path["id"], call.body)
        return ok(await described(call.path["id"]))

    async def replace_track(call: Call) -> Answer:
        """Edit user data and metadata in the library; the same as PATCH, what isn't named stays."""
        await tracks.edit(call.path["id"], call.body)
        return ok(await described(call.path["id"]))

    async def delete_track(call: Call) -> Answer:
        """Remove a track from the library; the file stays where it is."""
        await tracks.delete(call.path["id"])
        return ok({"id": call.path["id"]})

    async def edit_tracks(call: Call) -> Answer:
        """The same edit to many tracks, in one transaction."""
        filters = None if call.body["filter"] is None else tracks.condition(call.body["filter"])
        return ok({"matched": await tracks.edit_many(call.body["ids"], filters, call.body["set"])})

    async def library_delta(call: Call) -> Answer:
        """What changed in the library after an event number, for clients that keep a copy; `since=0` walks it all."""
        delta = await tracks.delta(call.query["since"], call.query["limit"])
        return ok(
            {
                "added": joined(delta.added),
                "updated": joined(delta.updated),
                "deleted": delta.deleted,
                "seq": delta.seq,
                "has_more": delta.has_more,
            }
        )

    track, one, not_found = schemas.Track(), TrackWithCues(), [errors.NotFound]
    return [
        Route(
            "GET", "/tracks", list_tracks, query=schemas.ListQuery(), returns=track, tag=_TAG,
            is_list=True, is_paged=True, is_live=True, is_cached=True,
        ),
        Route(
            "GET", "/tracks/search", search_tracks, query=schemas.SearchQuery(), returns=track, tag=_TAG,
            is_list=True, is_paged=True, is_live=True, is_cached=True, extra=_SEARCH_EXTRA,
        ),
        Route("GET", "/tracks/stats", track_stats, returns=_STATS, tag=_TAG, is_live=True, is_cached=True),
        Route(
            "GET", "/tracks/facets", track_facets, query=schemas.FacetsQuery(), returns=_ANY_LIST, tag=_TAG,
            is_live=True, is_cached=True,
        ),
        Route(
            "POST", "/tracks/bulk", edit_tracks, body=schemas.BulkBody(), returns=schemas.BulkOut(), tag=_TAG,
            body_limit=8 * 1024 * 1024,
        ),
        Route(
            "GET", "/tracks/{id}", get_track, returns=one, tag=_TAG, errors=not_found, is_live=True, is_cached=True,
        ),
        Route("PATCH", "/tracks/{id}", edit_track, body=schemas.Edits(), returns=one, tag=_TAG, errors=not_found),
        Route("PUT", "/tracks/{id}", replace_track, body=schemas.Edits(), returns=one, tag=_TAG, errors=not_found),
        Route("DELETE", "/tracks/{id}", delete_track, returns=_ID, tag=_TAG, errors=not_found),
        Route(
            "GET", "/library", library_delta, query=schemas.DeltaQuery(), returns=schemas.DeltaOut(), tag="library",
            errors=[errors.Gone], is_live=True, is_cached=True,
        ),
    ]  # fmt: skip


class TrackWithCues(schemas.Track):
    hot_cues = fields.List(fields.Nested(CueOut), required=True)


_ID = {"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}}}
_COUNTS = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["value", "count"],
        "properties": {"value": {"type": ["string", "integer"]}, "count": {"type": "integer"}},
    },
}
_STATS = {
    "type": "object",
    "required": ["total_tracks", "total_duration_seconds", "total_bytes", "missing", "analyzed", "analyzed_share"],
    "properties": {
        "total_tracks": {"type": "integer"},
        "total_duration_seconds": {"type": "number"},
        "total_bytes": {"type": "integer"},
        "missing": {"type": "integer"},
        "duplicates": {"type": "integer"},
        "analyzed": {"type": "integer"},
        "analyzed_share": {"type": "number"},
        "formats": _COUNTS,
        "genres": _COUNTS,
        "keys": _COUNTS,
        "bpm_histogram": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "bpm_min": {"type": "integer"},
                    "bpm_max": {"type": "integer"},
                    "count": {"type": "integer"},
                },
            },
        },
    },
}
