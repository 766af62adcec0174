"""The endpoints of the watcher."""

from __future__ import annotations

from collections.abc import Sequence

from marshmallow import Schema, fields

from server.api.answer import Answer, ok
from server.api.route import Call, Route
from server.watching.service import WatchService

_TAG = "watcher"


class FollowedOut(Schema):
    library_directory_id = fields.UUID(required=True)
    path = fields.String(required=True)
    watch_state = fields.String(required=True)
    detail = fields.String(required=True, allow_none=True)
    pending = fields.Integer(required=True)


class StatusOut(Schema):
    is_running = fields.Boolean(required=True)
    directories = fields.List(fields.Nested(FollowedOut), required=True)


def routes(watcher: WatchService) -> Sequence[Route]:
    async def watcher_status(_: Call) -> Answer:
        """Which directories are followed, how, and how many files and folders wait for their scan."""
        return ok((await watcher.status()).as_json())

    async def start_watcher(_: Call) -> Answer:
        """Follow the directories."""
        return ok((await watcher.start()).as_json())

    async def stop_watcher(_: Call) -> Answer:
        """Follow none of them, until started again or the server restarts."""
        return ok((await watcher.stop()).as_json())

    return [
        Route("GET", "/watcher/status", watcher_status, returns=StatusOut(), tag=_TAG),
        Route("POST", "/watcher/start", start_watcher, returns=StatusOut(), tag=_TAG),
        Route("POST", "/watcher/stop", stop_watcher, returns=StatusOut(), tag=_TAG),
    ]
