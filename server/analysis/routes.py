"""The endpoints of the analysis queue."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from server import errors
from server.analysis import schemas
from server.analysis.intake import BadToken, Intake
from server.analysis.job import Job, Priority, State
from server.analysis.queue import Wish
from server.analysis.service import AnalysisService, JobActive, JobEnded, NotHashed
from server.analysis.stage import Stage, ordered
from server.api.answer import Answer, Pagination, accepted, ok
from server.api.route import Call, Route
from server.clock import to_rfc3339
from server.companions import routes as companion_routes
from server.companions.definitions import ANALYSIS
from server.companions.service import Action, CompanionService
from server.companions.supervisor import Unmanaged

_TAG = "analysis"


def routes(analysis: AnalysisService, intake: Intake, companions: CompanionService) -> Sequence[Route]:
    async def request_analysis(call: Call) -> Answer:
        """Ask for the analysis of tracks; what is stored already isn't done again.

        Asking for an audio that waits already adds its stages and raises its priority.
        """
        body = call.body
        wish = Wish(
            tuple(Stage) if body["all"] else ordered(body["stages"]),
            Priority[body["priority"].upper()],
            again_unsupported=True,
        )
        if body["track_id"] is not None:
            job = await analysis.ensure(body["track_id"], body["priority"], wish.stages)
            return accepted(_requested([job], 1, [], 0), _location(job))
        ids = body["track_ids"]
        if ids is None:
            ids = await analysis.matching(body["filter"])
        result = await analysis.request(ids, wish)
        answer = _requested(result.jobs, result.accepted, result.skipped, result.skipped_count)
        return accepted(
            answer,
            _location(result.jobs[0]) if result.accepted == 1 else "/api/analysis/queue",
        )

    async def list_jobs(call: Call) -> Answer:
        """Analysis jobs, the latest first."""
        page, limit, status = (
            call.query["page"],
            call.query["limit"],
            call.query["status"],
        )
        found, total = await analysis.page(State(status) if status else None, page, limit)
        return Answer(
            data=[job.as_json() for job in found],
            pagination=Pagination(limit, total, page),
        )

    async def get_job(call: Call) -> Answer:
        """A job, the tracks with its audio, and what is stored of that audio."""
        job, track_ids, found = await analysis.describe(call.path["audio_hash"])
        results = [
            {
                "stage": stage,
                "status": status,
                "analyzed_at": to_rfc3339(when),
                "data": data,
            }
            for stage, (status, data, when) in found.items()
        ]
        return ok({**job.as_json(), "track_ids": track_ids, "results": results})

    async def cancel_job(call: Call) -> Answer:
        """Call a job off, whether it waits or runs."""
        return ok((await analysis.cancel(call.path["audio_hash"])).as_json())

    async def retry_job(call: Call) -> Answer:
        """Try a job again that failed, was called off, or closed without a file."""
        job = await analysis.retry(call.path["audio_hash"])
        return accepted(job.as_json(), _location(job))

    async def analysis_queue(_: Call) -> Answer:
        """How the queue stands: counts, running jobs, rate, and whether the analysis server is there."""
        return ok(await analysis.overview())

    async def take_callback(call: Call) -> Answer:
        """A result, from the analysis server only: the address holds a token that is made for each attempt of a job.

        Answers 200 when the result is committed; the same callback again changes nothing. A malformed one is a 422,
        and fails the attempt.
        """
        await intake.take(call.path["token"], call.request)
        return ok(None)

    async def refuse_callback(_: Call) -> Answer:
        """A callback without its token: always 403."""
        raise BadToken

    async def analysis_health(_: Call) -> Answer:
        """What the analysis server says of itself just now."""
        return ok(await analysis.health())

    async def analysis_server(_: Call) -> Answer:
        """The companion process."""
        return ok((await companions.get(ANALYSIS)).as_json())

    async def start_analysis_server(_: Call) -> Answer:
        """Start the companion process."""
        return await _asked(companions, Action.START)

    async def stop_analysis_server(_: Call) -> Answer:
        """Stop the companion process; jobs wait until it is there again."""
        return await _asked(companions, Action.STOP)

    async def restart_analysis_server(_: Call) -> Answer:
        """Restart the companion process; jobs that it had are asked again."""
        return await _asked(companions, Action.RESTART)

    job, companion = schemas.AnalysisJob(), companion_routes.Companion()
    callback: dict[str, Any] = {"tag": _TAG, "is_open": True, "is_upload": True}
    return [
        Route("POST", "/analysis/request", request_analysis, body=schemas.RequestBody(), status=202, tag=_TAG,
              returns=schemas.RequestedOut(), errors=[errors.NotFound, NotHashed], body_limit=8 * 1024 * 1024),
        Route("GET", "/analysis/jobs", list_jobs, query=schemas.JobsQuery(), returns=job, is_list=True, is_paged=True,
              is_live=True, tag=_TAG),
        Route("GET", "/analysis/status/{audio_hash}", get_job, returns=schemas.JobDetail(), is_live=True, tag=_TAG),
        Route("DELETE", "/analysis/jobs/{audio_hash}", cancel_job, returns=job, errors=[JobEnded], tag=_TAG),
        Route("POST", "/analysis/jobs/{audio_hash}/retry", retry_job, returns=job, status=202, errors=[JobActive],
              tag=_TAG),
        Route("GET", "/analysis/queue", analysis_queue, returns=schemas.QueueOut(), is_live=True, tag=_TAG),
        Route("POST", "/analysis/callback", refuse_callback, errors=[BadToken], **callback),
        Route("POST", "/analysis/callback/{token}", take_callback, errors=[BadToken, errors.Unavailable], **callback),
        Route("GET", "/analysis/health", analysis_health, returns=schemas.HealthOut(), tag=_TAG),
        Route("GET", "/analysis/server", analysis_server, returns=companion, errors=[errors.NotFound], tag=_TAG),
        *(
            Route("POST", f"/analysis/server/{action}", handler, returns=companion, status=202, tag=_TAG,
                  errors=[errors.NotFound, Unmanaged])
            for action, handler in (
                (Action.START, start_analysis_server), (Action.STOP, stop_analysis_server),
                (Action.RESTART, restart_analysis_server),
            )
        ),
    ]  # fmt: skip


def _requested(jobs: list[Job], count: int, skipped: list[dict[str, str]], skipped_count: int) -> dict[str, object]:
    return {
        "accepted": count,
        "jobs": [job.as_json() for job in jobs],
        "skipped": skipped,
        "skipped_count": skipped_count,
    }


def _location(job: Job) -> str:
    return f"/api/analysis/status/{job.audio_hash}"


async def _asked(companions: CompanionService, action: Action) -> Answer:
    return accepted((await companions.ask(ANALYSIS, action)).as_json(), "/api/analysis/server")
