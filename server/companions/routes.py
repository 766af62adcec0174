"""The endpoints of the companions."""

from __future__ import annotations

from collections.abc import Sequence

from marshmallow import Schema, fields

from server import errors
from server.api.answer import Answer, Pagination, accepted, ok
from server.api.route import Call, Route
from server.companions.model import Status
from server.companions.service import Action, CompanionService
from server.companions.supervisor import Unmanaged

_TAG = "companions"


class Companion(Schema):
    """A process that Mismo starts and watches."""

    name = fields.String(required=True, metadata={"description": "analysis or engine"})
    url = fields.String(required=True, metadata={"description": "where Mismo reaches it"})
    state = fields.String(
        required=True,
        metadata={"description": "unmanaged, stopped, starting, running, waiting, stopping or failed"},
    )
    restarts = fields.Integer(required=True, metadata={"description": "crashes since Mismo's start that it got over"})
    detail = fields.String(required=True, allow_none=True)
    pid = fields.Integer(required=True, allow_none=True)
    since = fields.DateTime(required=True, metadata={"description": "when it came into this state"})


def routes(companions: CompanionService) -> Sequence[Route]:
    async def list_companions(_: Call) -> Answer:
        """The companion processes: the analysis server, and the audio engine."""
        found = [status.as_json() for status in await companions.all()]
        return Answer(data=found, pagination=Pagination.whole(len(found)))

    async def get_companion(call: Call) -> Answer:
        """One companion process."""
        return ok((await companions.get(call.path["name"])).as_json())

    async def start_companion(call: Call) -> Answer:
        """Start a companion; also one that was given up after crashing too often."""
        return _asked(await companions.ask(call.path["name"], Action.START))

    async def stop_companion(call: Call) -> Answer:
        """Stop a companion: SIGTERM, a few seconds later SIGKILL. It stays down."""
        return _asked(await companions.ask(call.path["name"], Action.STOP))

    async def restart_companion(call: Call) -> Answer:
        """Stop a companion and start it again, as after an update of its program."""
        return _asked(await companions.ask(call.path["name"], Action.RESTART))

    companion, failures = Companion(), [errors.NotFound, Unmanaged]
    return [
        Route(
            "GET", "/companions", list_companions, returns=companion, is_list=True, is_paged=True, is_live=True,
            tag=_TAG,
        ),
        Route(
            "GET", "/companions/{name}", get_companion, returns=companion, tag=_TAG, errors=[errors.NotFound],
            is_live=True,
        ),
        *(
            Route("POST", f"/companions/{{name}}/{action}", handler, returns=companion, status=202, tag=_TAG,
                  errors=failures)
            for action, handler in (
                (Action.START, start_companion), (Action.STOP, stop_companion), (Action.RESTART, restart_companion)
            )
        ),
    ]  # fmt: skip


def _asked(status: Status) -> Answer:
    return accepted(status.as_json(), f"/api/companions/{status.name}")
