"""Health, metrics, and the documentation of the API."""

from __future__ import annotations

import base64
import functools
import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from importlib import resources
from typing import Any

import orjson
import xxhash

from server import errors
from server.api import metrics as api_metrics
from server.api.answer import Raw
from server.api.metrics import Metrics
from server.api.openapi import document
from server.api.route import Call, Route
from server.system import asyncapi
from server.system.health import Check, look

_LIVE = {"type": "object", "required": ["status"], "properties": {"status": {"const": "ok"}}}
_CHECK = {
    "type": "object",
    "required": ["state", "detail", "is_required"],
    "properties": {
        "state": {"enum": ["ok", "down"]},
        "detail": {"type": "string"},
        "is_required": {"type": "boolean"},
    },
}
_READY = {
    "type": "object",
    "required": ["status", "checks"],
    "properties": {"status": {"const": "ok"}, "checks": {"type": "object", "additionalProperties": _CHECK}},
}


def routes(checks: list[Check], metrics: Metrics, others: Callable[[], Sequence[Route]]) -> Sequence[Route]:
    """`others` gives all routes of the API, these included, once they are known."""

    async def livez(_: Call) -> Raw:
        """Whether the process answers at all."""
        return Raw(body=b'{"status":"ok"}', content_type="application/json")

    async def readyz(_: Call) -> Raw:
        """Whether the server can work: each dependency with its state; 503 when one that it needs is down."""
        states = await look(checks)
        shown = {state.name: state.as_json() for state in states}
        down = [state.name for state in states if state.is_required and not state.is_up]
        if down:
            raise errors.NotReady(f"down: {', '.join(down)}", extra={"checks": shown})
        return Raw(body=orjson.dumps({"status": "ok", "checks": shown}), content_type="application/json")

    async def show_metrics(_: Call) -> Raw:
        """Figures for Prometheus."""
        return Raw(body=metrics.text(), content_type=api_metrics.CONTENT_TYPE)

    # What never changes while the server runs is made once, when first asked for.
    @functools.cache
    def openapi() -> Raw:
        return _fixed(orjson.dumps(document(others())), "application/json")

    @functools.cache
    def events() -> Raw:
        return _fixed(orjson.dumps(asyncapi.document()), "application/json")

    @functools.cache
    def page() -> Raw:
        content = resources.files("server.system").joinpath("docs.html").read_text(encoding="utf-8")
        policy = {"Content-Security-Policy": page_policy(content), "Referrer-Policy": "no-referrer"}
        return _fixed(content.encode(), "text/html; charset=utf-8", policy)

    async def openapi_document(_: Call) -> Raw:
        """This API as OpenAPI 3.1."""
        return openapi()

    async def asyncapi_document(_: Call) -> Raw:
        """The websocket as AsyncAPI 3."""
        return events()

    async def docs_page(_: Call) -> Raw:
        """A page to browse the API with; it works without the internet."""
        return page()

    plain: dict[str, Any] = {"tag": "system", "is_open": True, "is_enveloped": False}
    return [
        Route("GET", "/livez", livez, returns=_LIVE, is_root=True, **plain),
        Route("GET", "/readyz", readyz, returns=_READY, is_root=True, errors=[errors.NotReady], **plain),
        Route(
            "GET", "/metrics", show_metrics, is_root=True, tag="system", is_enveloped=False,
            produces="text/plain",
        ),
        Route("GET", "/openapi.json", openapi_document, returns={"type": "object"}, **plain),
        Route("GET", "/asyncapi.json", asyncapi_document, returns={"type": "object"}, **plain),
        Route("GET", "/docs", docs_page, produces="text/html", **plain),
    ]  # fmt: skip


def _fixed(body: bytes, content_type: str, headers: Mapping[str, str] | None = None) -> Raw:
    etag = f'"{xxhash.xxh3_64_hexdigest(body)}"'
    return Raw(body=body, content_type=content_type, headers={"ETag": etag, **(headers or {})})


def page_policy(page: str) -> str:
    """What a browser may run and load for the page: its own script and style (by their hashes), and this server."""
    return "; ".join(
        [
            "default-src 'none'",
            f"script-src {_hashes(page, 'script')}",
            f"style-src {_hashes(page, 'style')}",
            "connect-src 'self'",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        ]
    )


def _hashes(page: str, element: str) -> str:
    found = re.findall(rf"<{element}>(.*?)</{element}>", page, re.DOTALL)
    digests = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in found]
    return " ".join(f"'sha256-{digest}'" for digest in digests)
