"""The endpoints of the thinking playlist and of sessions, and those that take and give files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

import orjson
from marshmallow import ValidationError

from server import errors
from server.api.answer import Answer, Raw, created, ok
from server.api.parse import invalid
from server.api.route import Call, Route
from server.playlists import schemas
from server.playlists.changeable import ReadOnly, WrongType
from server.playlists.routes import whole
from server.playlists.service import PlaylistService
from server.playlists.sessions import SessionActive
from server.playlists.transfer import Format, Paths, Transfer

TAG = "playlists"
IMPORT_LIMIT = 32 * 1024 * 1024
_M3U = "audio/x-mpegurl"
# What programs call an M3U file. Forms and plain text aren't among them: any web page may send these unasked.
M3U_TYPES = (
    _M3U, "audio/mpegurl", "application/x-mpegurl", "application/mpegurl", "application/vnd.apple.mpegurl",
    "application/octet-stream",
)  # fmt: skip
_CONTENT_TYPES = {Format.M3U8: "application/vnd.apple.mpegurl", Format.M3U: _M3U, Format.JSON: "application/json"}
_REMOVED = {"type": "object", "required": ["removed"], "properties": {"removed": {"type": "integer"}}}


def routes(playlists: PlaylistService, transfer: Transfer) -> Sequence[Route]:
    """To be declared before `/playlists/{id}`, which would take their names for ids."""
    contents, sessions = playlists.contents, playlists.sessions

    async def get_thinking(_: Call) -> Answer:
        """The thinking playlist, with its entries; made when it isn't there."""
        return whole(await contents.whole((await contents.thinking()).id))

    async def think_of_tracks(call: Call) -> Answer:
        """Put tracks on the thinking playlist."""
        added = await contents.think_of(call.body["track_ids"], call.body["position"], call.body["notes"])
        return created(added, "/api/playlists/thinking")

    async def forget_tracks(call: Call) -> Answer:
        """Take tracks off the thinking playlist, or all of them."""
        return ok({"removed": await contents.forget(call.body["track_ids"])})

    async def promote_thinking(call: Call) -> Answer:
        """Make the thinking playlist a static one under a name, and begin an empty one."""
        playlist = await contents.promote(call.body["name"], call.body["parent_id"])
        return created(playlist.as_json(), f"/api/playlists/{playlist.id}")

    async def start_session(call: Call) -> Answer:
        """Begin a session."""
        playlist = await sessions.start(call.body["venue"], call.body["date"])
        return created(playlist.as_json(), f"/api/playlists/{playlist.id}")

    async def active_session(_: Call) -> Answer:
        """The session that is going on, with what was played so far."""
        return whole(await contents.whole((await sessions.active()).id))

    async def add_play(call: Call) -> Answer:
        """Write down that a track was played, which counts.

        The same play (track and `played_at`) told again answers 200 and only learns its duration and notes.
        """
        body = call.body
        entry, is_new = await sessions.add_play(
            call.path["id"], body["track_id"], body["played_at"], body["duration"], body["notes"], body["deck"]
        )
        described = await contents.described(entry)
        return created(described, f"/api/playlists/{call.path['id']}") if is_new else ok(described)

    async def finalize_session(call: Call) -> Answer:
        """End a session: its duration is fixed and it is read-only."""
        return ok((await sessions.finalize(call.path["id"])).as_json())

    async def export_playlist(call: Call) -> Raw:
        """A playlist as a file for other players, or as Mismo's own JSON.

        `X-Mismo-Omitted` says how many tracks have no path that could be written.
        """
        file_format = Format(call.query["format"])
        file = await transfer.export(call.path["id"], file_format, Paths(call.query["paths"]))
        return Raw(
            body=file.content,
            content_type=_CONTENT_TYPES[file_format],
            seq=file.seq,
            headers={
                "Content-Disposition": f"attachment; filename*=UTF-8''{quote(file.name, safe='')}",
                "X-Mismo-Omitted": str(file.omitted),
            },
        )

    async def import_playlist(call: Call) -> Answer:
        """Make a playlist from an M3U or M3U8 file, or from Mismo's own JSON.

        The body is the file, as `audio/x-mpegurl` (or another name of it, or `application/octet-stream`) or
        `application/json`. Every line for which no track is found is reported.
        """
        name, parent_id = call.query["name"], call.query["parent_id"]
        if call.request.content_type == "application/json":
            imported = await transfer.import_json(_exported(call.body), name, parent_id)
        else:
            imported = await transfer.import_m3u(call.body, name, parent_id)
        return created(imported.as_json(), f"/api/playlists/{imported.playlist.id}")

    with_entries, playlist = schemas.PlaylistWithEntriesOut(), schemas.PlaylistOut()
    base = "/playlists"
    return [
        Route("GET", f"{base}/thinking", get_thinking, returns=with_entries, tag=TAG, is_live=True),
        Route(
            "POST", f"{base}/thinking/tracks", think_of_tracks, body=schemas.EntriesBody(),
            returns=schemas.PlainEntryOut(), status=201, tag=TAG, is_list=True, body_limit=8 * 1024 * 1024,
        ),
        Route(
            "DELETE", f"{base}/thinking/tracks", forget_tracks, body=schemas.ForgetBody(), returns=_REMOVED, tag=TAG,
            is_body_required=False,
        ),
        Route(
            "POST", f"{base}/thinking/promote", promote_thinking, body=schemas.PromoteBody(), returns=playlist,
            status=201, tag=TAG,
        ),
        Route(
            "POST", f"{base}/sessions/start", start_session, body=schemas.SessionStartBody(), returns=playlist,
            status=201, tag=TAG, errors=[SessionActive], is_body_required=False,
        ),
        Route(
            "GET", f"{base}/sessions/active", active_session, returns=with_entries, tag=TAG, errors=[errors.NotFound],
            is_live=True,
        ),
        Route(
            "POST", f"{base}/sessions/{{id}}/track", add_play, body=schemas.PlayBody(), returns=schemas.EntryOut(),
            status=201, may_be_known=True, tag=TAG, errors=[errors.NotFound, WrongType, ReadOnly],
        ),
        Route(
            "POST", f"{base}/sessions/{{id}}/finalize", finalize_session, returns=playlist, tag=TAG,
            errors=[errors.NotFound, WrongType],
        ),
        Route(
            "POST", f"{base}/import", import_playlist, query=schemas.ImportQuery(), returns=schemas.ImportedOut(),
            status=201, tag=TAG, body_types=("application/json", *M3U_TYPES), body_limit=IMPORT_LIMIT,
        ),
        Route(
            "GET", f"{base}/{{id}}/export", export_playlist, query=schemas.ExportQuery(),
            returns=schemas.ExportedPlaylist(), tag=TAG, errors=[errors.NotFound, WrongType], is_enveloped=False,
            is_live=True,
            also_produces=tuple(dict.fromkeys(kind for kind in _CONTENT_TYPES.values() if "json" not in kind)),
        ),
    ]  # fmt: skip


def _exported(content: bytes) -> Mapping[str, Any]:
    try:
        value = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise errors.MalformedJson(f"the body isn't valid JSON: {error}") from None
    try:
        loaded: Mapping[str, Any] = schemas.ExportedPlaylist().load(value)
    except ValidationError as error:
        raise invalid(error) from error
    return loaded
