"""The HTTP side of the analysis server."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import urlsplit

import orjson
import structlog
from aiohttp import web

from server.analyzer import __version__, protocol, uploads
from server.analyzer.jobs import Job, Jobs, State
from server.analyzer.options import Options
from server.analyzer.protocol import Refused

_LARGEST_BODY = 1 << 20
_STEM_FILES = {f"{stem}.{kind}" for stem in ("bass", "drums", "other", "vocals") for kind in ("flac", "wav")}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
logger = structlog.get_logger(__name__)


class Application:
    """Routes of the protocol. `folder` takes uploads."""

    def __init__(self, options: Options, jobs: Jobs, folder: Path) -> None:
        self._options = options
        self._jobs = jobs
        self._uploads = folder / "uploads"
        self._uploads.mkdir(parents=True, exist_ok=True)

    def build(self) -> web.Application:
        application = web.Application(client_max_size=_LARGEST_BODY, middlewares=[self._guard])
        application.add_routes(
            [
                web.get("/health", self._health),
                web.get("/stats", self._stats),
                web.post("/jobs", self._submit),
                web.get("/jobs/{job_id}", self._show),
                web.delete("/jobs/{job_id}", self._cancel),
                web.get("/jobs/{job_id}/stems/{name}", self._stem),
            ]
        )
        return application

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answers failures in one shape, and keeps web pages out: no browser has business here."""
        try:
            if "Origin" in request.headers:
                raise Refused(403, "origin_forbidden", "requests from web pages aren't answered")
            host = urlsplit(f"//{request.host}").hostname or ""
            if host.lower() not in self._options.request_hosts:
                raise Refused(403, "host_forbidden", "this host name isn't answered to (--allow-host)")
            return await handler(request)
        except Refused as refused:
            return _json({"error": str(refused), "code": refused.code}, refused.status)
        except web.HTTPException as failure:
            if failure.status < 400:
                raise
            return _json({"error": failure.reason, "code": failure.reason.lower().replace(" ", "_")}, failure.status)

    async def _health(self, _: web.Request) -> web.Response:
        return _json(
            {
                "status": "ok",
                "version": __version__,
                "jobs_queued": self._jobs.count(State.QUEUED),
                "jobs_processing": self._jobs.count(State.PROCESSING),
            }
        )

    async def _stats(self, _: web.Request) -> web.Response:
        return _json(self._jobs.statistics() | {"version": __version__})

    async def _submit(self, request: web.Request) -> web.Response:
        if request.content_type == "multipart/form-data":
            job = await self._submit_upload(request)
        elif request.content_type == "application/json":
            job = await self._submit_path(request)
        else:
            raise Refused(415, "unsupported_media_type", "send application/json or multipart/form-data")
        logger.info("job queued", job_id=job.job_id, stages=list(job.request.stages))
        return _json({"job_id": job.job_id})

    async def _submit_path(self, request: web.Request) -> Job:
        try:
            fields = orjson.loads(await request.read())
        except orjson.JSONDecodeError as error:
            raise Refused(400, "malformed", "the body isn't JSON") from error
        wanted = protocol.parse(fields, self._options, with_file=False)
        assert wanted.path is not None
        path = await asyncio.to_thread(protocol.check_file, wanted.path, self._options)
        return self._jobs.submit(wanted, path, _stem_url(request))

    async def _submit_upload(self, request: web.Request) -> Job:
        fields, stored = await uploads.receive(request, self._uploads, self._options.upload_bytes)
        try:
            wanted = protocol.parse(fields, self._options, with_file=True)
        except Refused:
            stored.unlink(missing_ok=True)
            raise
        return self._jobs.submit(wanted, stored, _stem_url(request), upload=stored)

    async def _show(self, request: web.Request) -> web.Response:
        return _json(self._job(request).payload())

    async def _cancel(self, request: web.Request) -> web.Response:
        job = self._job(request)
        await self._jobs.cancel(job)
        return _json(job.payload())

    async def _stem(self, request: web.Request) -> web.StreamResponse:
        job, name = self._job(request), request.match_info["name"]
        path = self._jobs.stem_folder(job.job_id) / name
        if name not in _STEM_FILES or not path.is_file():
            raise Refused(404, "not_found", "no such stem, or it is gone")
        return web.FileResponse(path)

    def _job(self, request: web.Request) -> Job:
        job = self._jobs.find(request.match_info["job_id"])
        if job is None:
            raise Refused(404, "not_found", "no such job")
        return job


def _stem_url(request: web.Request) -> str:
    return f"{request.scheme}://{request.host}/jobs"


def _json(payload: object, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(payload), status=status, content_type="application/json")
