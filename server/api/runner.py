"""aiohttp's runner, for which what isn't HTTP at all is a problem in the same shape as any other failure."""

from __future__ import annotations

import secrets

from aiohttp import web

from server import errors, log
from server.api.failure import as_mismo_error, failure_response

logger = log.get(__name__)


class _Connection(web.RequestHandler):
    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what the parser refused, or (as the last resort) what broke outside the application."""
        if request.writer.output_size:
            raise ConnectionError("the answer had begun when it failed")
        failure = errors.Malformed("this isn't a well-formed HTTP request") if status < 500 else errors.MismoError()
        if status >= 500:
            logger.error("connection failed", exc_info=exc)
        response = failure_response(failure, secrets.token_hex(8))
        response.force_close()
        return response


class _Server(web.Server):
    def __call__(self) -> web.RequestHandler:
        return _Connection(self, loop=self._loop, **self._kwargs)


class Runner(web.AppRunner):
    """Runs an application of `server.api.app`. Bodies come as they were sent: packed ones are refused by the routes."""

    def __init__(self, app: web.Application, *, shutdown_timeout: float = 5.0):
        super().__init__(
            app, access_log=None, handle_signals=False, shutdown_timeout=shutdown_timeout, auto_decompress=False
        )

    async def _make_server(self) -> web.Server:
        made = await super()._make_server()
        application = made.request_handler

        async def handle(request: web.BaseRequest) -> web.StreamResponse:
            try:
                return await application(request)
            except web.HTTPException as error:
                # Raised before the application's own checks: an `Expect` that nobody can meet.
                return failure_response(as_mismo_error(error), secrets.token_hex(8))

        return _Server(handle, request_factory=made.request_factory, **made._kwargs)
