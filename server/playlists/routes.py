"""The endpoints of playlists and what is in them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from server import errors
from server.api.answer import Answer, Pagination, created, ok
from server.api.fields import PageQuery
from server.api.paging import decode_cursor, encode_cursor
from server.api.route import Call, Route
from server.db.sql import Where
from server.playlists import schemas
from server.playlists.changeable import ReadOnly, WrongType
from server.playlists.contents import Listing
from server.playlists.explanations import Explanations
from server.playlists.service import PlaylistService

TAG = "playlists"
_IDS = {"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}}}
_ENTRY_ID = {"type": "object", "required": ["entry_id"], "properties": {"entry_id": {"type": "string"}}}


def routes(playlists: PlaylistService, explanations: Explanations) -> Sequence[Route]:
    contents = playlists.contents

    async def list_playlists(call: Call) -> Answer:
        """List playlists and folders, by name."""
        query = call.query
        where = playlists.condition(query["search"], query["type"], query["is_favorite"], query["parent_id"])
        return await _page(playlists, where, query)

    async def search_playlists(call: Call) -> Answer:
        """Search playlists by the words of their name and description."""
        where = playlists.condition(call.query["q"])
        return await _page(playlists, where, call.query)

    async def create_playlist(call: Call) -> Answer:
        """Make a static or smart playlist, or a folder."""
        values = {name: value for name, value in call.body.items() if name != "track_ids"}
        playlist = await playlists.create(values, call.body["track_ids"])
        return created(playlist.as_json(), f"/api/playlists/{playlist.id}")

    async def get_playlist(call: Call) -> Answer:
        """One playlist, with its entries unless `include_tracks=false`."""
        if not call.query["include_tracks"]:
            return ok((await playlists.get(call.path["id"])).as_json())
        return whole(await contents.whole(call.path["id"]))

    async def change_playlist(call: Call) -> Answer:
        """Change a playlist; `is_readonly: false` reopens a session."""
        return ok((await playlists.change(call.path["id"], call.body)).as_json())

    async def delete_playlist(call: Call) -> Answer:
        """Delete a playlist. What lies in a folder moves up to where the folder was."""
        await playlists.delete(call.path["id"])
        return ok({"id": call.path["id"]})

    async def playlist_stats(call: Call) -> Answer:
        """The figures of a playlist: durations, tempos, keys, genres, energy along the list."""
        return ok(await explanations.statistics(call.path["id"]))

    async def list_entries(call: Call) -> Answer:
        """The entries of a playlist, in pages; for long lists."""
        limit, page, after = call.query["limit"], call.query["page"], None
        if call.query["cursor"] is not None:
            _refuse_both(page)
            after = _entry_position(call.query["cursor"])
        offset = ((page or 1) - 1) * limit
        found = await contents.page(call.path["id"], limit, offset=offset, after=after)
        cursor = None if found.end is None else encode_cursor(found.end)
        shown = None if after else page or 1
        pagination = Pagination(limit, found.playlist.track_count, shown, cursor)
        return Answer(data=found.entries, pagination=pagination, seq=found.seq)

    async def add_entries(call: Call) -> Answer:
        """Put tracks into a playlist, at a position or at the end."""
        added = await contents.add(call.path["id"], call.body["track_ids"], call.body["position"], call.body["notes"])
        return created(added, f"/api/playlists/{call.path['id']}/tracks")

    async def reorder_entries(call: Call) -> Answer:
        """Reorder: all tracks in their new order, or one entry and its new position."""
        if "track_ids" in call.body:
            await contents.arrange(call.path["id"], call.body["track_ids"])
        else:
            await contents.move(call.path["id"], call.body["entry_id"], call.body["position"])
        return ok({"id": call.path["id"]})

    async def remove_track(call: Call) -> Answer:
        """Take the first entry of a track out of a playlist."""
        return ok({"entry_id": await contents.remove_track(call.path["id"], call.path["track_id"])})

    async def remove_entry(call: Call) -> Answer:
        """Take one entry out of a playlist."""
        await contents.remove_entry(call.path["id"], call.path["entry_id"])
        return ok({"entry_id": call.path["entry_id"]})

    async def change_track(call: Call) -> Answer:
        """Change what is said about the first entry of a track."""
        return ok(await contents.remark_track(call.path["id"], call.path["track_id"], call.body))

    async def change_entry(call: Call) -> Answer:
        """Change what is said about an entry."""
        return ok(await contents.remark_entry(call.path["id"], call.path["entry_id"], call.body))

    async def refresh_playlist(call: Call) -> Answer:
        """Evaluate a smart playlist now."""
        result = await playlists.refresh(call.path["id"])
        return ok({"added": result.added, "removed": result.removed, "total": result.total})

    async def convert_playlist(call: Call) -> Answer:
        """Make a smart playlist or a finished session a static one."""
        return ok((await playlists.convert(call.path["id"])).as_json())

    async def explain_playlist(call: Call) -> Answer:
        """Say in a sentence what a playlist holds; with `track_id`, why that track is in or out."""
        track_id = call.query["track_id"]
        if track_id is None:
            return ok(await explanations.of_list(call.path["id"]))
        return ok(await explanations.of_track(call.path["id"], track_id))

    async def preview_criteria(call: Call) -> Answer:
        """What criteria would match: how many, the first tracks, in a sentence. Nothing is stored."""
        return ok(await explanations.preview(call.body["criteria"]))

    async def duplicate_playlist(call: Call) -> Answer:
        """Copy a playlist under another name."""
        playlist = await playlists.duplicate(call.path["id"], call.body["name"])
        return created(playlist.as_json(), f"/api/playlists/{playlist.id}")

    async def merge_playlists(call: Call) -> Answer:
        """Put the entries of other playlists at the end of this one."""
        added = await playlists.merge(call.path["id"], call.body["source_ids"], dedupe=call.body["dedupe"])
        return ok({"added": added, "playlist": (await playlists.get(call.path["id"])).as_json()})

    playlist, entry, not_found = schemas.PlaylistOut(), schemas.EntryOut(), [errors.NotFound]
    editing: list[type[errors.MismoError]] = [errors.NotFound, WrongType, ReadOnly]
    one = "/playlists/{id}"
    return [
        Route(
            "GET", "/playlists", list_playlists, query=schemas.ListQuery(), returns=playlist, tag=TAG, is_list=True,
            is_paged=True, is_live=True,
        ),
        Route(
            "POST", "/playlists", create_playlist, body=schemas.PlaylistCreateBody(), returns=playlist, status=201,
            tag=TAG, body_limit=8 * 1024 * 1024,
        ),
        Route(
            "GET", "/playlists/search", search_playlists, query=schemas.SearchQuery(), returns=playlist, tag=TAG,
            is_list=True, is_paged=True, is_live=True,
        ),
        Route(
            "POST", "/playlists/preview", preview_criteria, body=schemas.PreviewBody(), returns=schemas.PreviewOut(),
            tag=TAG,
        ),
        Route(
            "GET", one, get_playlist, query=schemas.GetQuery(), returns=schemas.PlaylistWithEntriesOut(), tag=TAG,
            errors=not_found, is_live=True,
        ),
        Route(
            "PUT", one, change_playlist, body=schemas.PlaylistChangeBody(), returns=playlist, tag=TAG,
            errors=not_found,
        ),
        Route("DELETE", one, delete_playlist, returns=_IDS, tag=TAG, errors=not_found),
        Route(
            "GET", f"{one}/stats", playlist_stats, returns=schemas.PlaylistStatsOut(), tag=TAG, errors=not_found,
            is_live=True,
        ),
        Route(
            "GET", f"{one}/tracks", list_entries, query=PageQuery(), returns=entry, tag=TAG, errors=not_found,
            is_list=True, is_paged=True, is_live=True,
        ),
        Route(
            "POST", f"{one}/tracks", add_entries, body=schemas.EntriesBody(), returns=schemas.PlainEntryOut(),
            status=201, tag=TAG, errors=editing, is_list=True, body_limit=8 * 1024 * 1024,
        ),
        Route(
            "PUT", f"{one}/tracks/reorder", reorder_entries, body=schemas.ReorderBody(), returns=_IDS, tag=TAG,
            errors=editing, body_limit=8 * 1024 * 1024,
        ),
        Route("DELETE", f"{one}/tracks/{{track_id}}", remove_track, returns=_ENTRY_ID, tag=TAG, errors=editing),
        Route(
            "PUT", f"{one}/tracks/{{track_id}}", change_track, body=schemas.RemarksBody(), returns=entry, tag=TAG,
            errors=editing,
        ),
        Route("DELETE", f"{one}/entries/{{entry_id}}", remove_entry, returns=_ENTRY_ID, tag=TAG, errors=editing),
        Route(
            "PUT", f"{one}/entries/{{entry_id}}", change_entry, body=schemas.RemarksBody(), returns=entry, tag=TAG,
            errors=editing,
        ),
        Route(
            "POST", f"{one}/refresh", refresh_playlist, returns=schemas.RefreshedOut(), tag=TAG,
            errors=[errors.NotFound, WrongType],
        ),
        Route(
            "POST", f"{one}/convert", convert_playlist, returns=playlist, tag=TAG, errors=[errors.NotFound, WrongType],
        ),
        Route(
            "GET", f"{one}/explain", explain_playlist, query=schemas.ExplainQuery(), returns=schemas.ExplainOut(),
            tag=TAG, errors=not_found, is_live=True,
        ),
        Route(
            "POST", f"{one}/duplicate", duplicate_playlist, body=schemas.PlaylistNameBody(), returns=playlist,
            status=201, tag=TAG, errors=[errors.NotFound, WrongType],
        ),
        Route(
            "POST", f"{one}/merge", merge_playlists, body=schemas.MergeBody(), returns=schemas.MergedOut(), tag=TAG,
            errors=editing,
        ),
    ]  # fmt: skip


def whole(found: Listing) -> Answer:
    """A playlist with its entries."""
    return Answer(data={**found.playlist.as_json(), "entries": found.entries}, seq=found.seq)


async def _page(playlists: PlaylistService, where: Where, query: Any) -> Answer:
    limit, page, after = query["limit"], query["page"], None
    if query["cursor"] is not None:
        _refuse_both(page)
        after = _list_position(query["cursor"])
    found, last = await playlists.page(where, limit, after=after, offset=((page or 1) - 1) * limit)
    total = await playlists.count(where)
    cursor = None if last is None else encode_cursor(last)
    shown = None if after else page or 1
    return Answer(data=[item.as_json() for item in found], pagination=Pagination(limit, total, shown, cursor))


def _refuse_both(page: int | None) -> None:
    if page is not None:
        raise errors.Invalid.field("page", "can't be combined with cursor")


def _list_position(cursor: str) -> tuple[str, str]:
    match decode_cursor(cursor):
        case [str() as words, str() as playlist_id] if "\0" not in words + playlist_id:
            return words, playlist_id
    raise errors.Invalid.field("cursor", "isn't one that an answer gave")


def _entry_position(cursor: str) -> tuple[int, str, int]:
    match decode_cursor(cursor):
        case [int() as rank, str() as entry_id, int() as position] if (
            "\0" not in entry_id and abs(rank) < 2**63 and 0 <= position < 2**31
        ):
            return rank, entry_id, position
    raise errors.Invalid.field("cursor", "isn't one that an answer gave")
