"""Health, metrics, and the documentation of the API."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import resources
from typing import Any

import orjson

from server.api import metrics as api_metrics
from server.api.answer import Raw
from server.api.metrics import Metrics
from server.api.openapi import document
from server.api.route import Call, Route
from server.system import asyncapi
from server.system.health import Check, look

_HEALTH = {
    "type": "object",
    "required": ["status"],
    "properties": {"status": {"type": "string"}, "checks": {"type": "object"}},
}
# The page needs nothing from outside; what a browser may load is limited to it.
_PAGE_POLICY = "default-src 'self'; script-src 'unsafe-inline'; style-src 'unsafe-inline'"


def routes(checks: list[Check], metrics: Metrics, others: Callable[[], Sequence[Route]]) -> Sequence[Route]:
    """`others` gives all routes of the API, these included, once they are known."""

    async def livez(_: Call) -> Raw:
        """Whether the process answers at all."""
        return _json({"status": "ok"})

    async def readyz(_: Call) -> Raw:
        """Whether the server can work: each dependency with its state; 503 when one that it needs is down."""
        is_ready, states = await look(checks)
        return _json({"status": "ok" if is_ready else "down", "checks": states}, 200 if is_ready else 503)

    async def show_metrics(_: Call) -> Raw:
        """Figures for Prometheus."""
        return Raw(body=metrics.text(), content_type=api_metrics.CONTENT_TYPE)

    async def openapi_document(_: Call) -> Raw:
        """This API as OpenAPI 3.1."""
        return _json(document(others()))

    async def asyncapi_document(_: Call) -> Raw:
        """The websocket as AsyncAPI 3."""
        return _json(asyncapi.document())

    async def docs_page(_: Call) -> Raw:
        """A page to browse the API with; it works without the internet."""
        page = resources.files("server.system").joinpath("docs.html").read_bytes()
        headers = {"Content-Security-Policy": _PAGE_POLICY}
        return Raw(body=page, content_type="text/html; charset=utf-8", headers=headers)

    plain: dict[str, Any] = {"tag": "system", "is_open": True, "is_enveloped": False}
    return [
        Route("GET", "/livez", livez, returns=_HEALTH, is_root=True, **plain),
        Route("GET", "/readyz", readyz, returns=_HEALTH, is_root=True, **plain),
        Route(
            "GET", "/metrics", show_metrics, is_root=True, tag="system", is_enveloped=False,
            produces="text/plain",
        ),
        Route("GET", "/openapi.json", openapi_document, returns={"type": "object"}, **plain),
        Route("GET", "/asyncapi.json", asyncapi_document, returns={"type": "object"}, **plain),
        Route("GET", "/docs", docs_page, produces="text/html", **plain),
    ]  # fmt: skip


def _json(content: Any, status: int = 200) -> Raw:
    return Raw(body=orjson.dumps(content), content_type="application/json", status=status)
