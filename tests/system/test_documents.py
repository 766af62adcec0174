"""The documents: OpenAPI and AsyncAPI are valid and whole, the page needs nothing from outside."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from server import errors
from server.events.model import registry
from tests.support.application import Running

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.fixture
async def openapi(mismo: Running) -> dict[str, Any]:
    document: dict[str, Any] = await mismo.client.get("/api/openapi.json")
    return document


@pytest.fixture
async def asyncapi(mismo: Running) -> dict[str, Any]:
    document: dict[str, Any] = await mismo.client.get("/api/asyncapi.json")
    return document


def _operations(openapi: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, operations in openapi["paths"].items():
        for method, operation in operations.items():
            yield method.upper(), path, operation


def test_openapi_is_valid(openapi: dict[str, Any]) -> None:
    assert openapi["openapi"].startswith("3.1.")
    OpenAPIV31SpecValidator(openapi).validate()


async def test_every_route_is_documented_and_nothing_else(mismo: Running, openapi: dict[str, Any]) -> None:
    routed = set()
    for route in mismo.app.http.router.routes():
        assert route.resource is not None
        path = route.resource.canonical
        if route.method != "HEAD" and not path.startswith("/api/v1/") and path != "/ws":
            routed.add((route.method, path))
    assert {(method, path) for method, path, _ in _operations(openapi)} == routed


def test_requests_whose_outcome_is_one_clients_can_name_it(openapi: dict[str, Any]) -> None:
    named = {
        path
        for _, path, operation in _operations(openapi)
        if any(parameter["name"] == "X-Mismo-Client" for parameter in operation["parameters"])
    }
    assert named == {"/api/tracks/{id}/stems"}


def test_every_operation_says_what_it_is_for(openapi: dict[str, Any]) -> None:
    seen = set()
    for method, path, operation in _operations(openapi):
        assert operation["summary"], (method, path)
        assert operation["tags"], (method, path)
        assert operation["operationId"] not in seen, operation["operationId"]
        seen.add(operation["operationId"])


def _codes() -> set[str]:
    codes, pending = set(), [errors.MismoError]
    while pending:
        kind = pending.pop()
        codes.add(kind.code)
        pending += kind.__subclasses__()
    return codes


async def test_every_error_code_is_documented(mismo: Running) -> None:
    text = (DOCS / "http.md").read_text()
    assert not [code for code in sorted(_codes()) if f"`{code}`" not in text]


async def test_every_event_is_documented(mismo: Running, asyncapi: dict[str, Any]) -> None:
    described = {schema["properties"]["event"]["const"] for schema in asyncapi["components"]["schemas"].values()}
    assert described == set(registry())
    assert all(schema["description"] for schema in asyncapi["components"]["schemas"].values())


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if "$ref" in value:
            yield value["$ref"]
        for inner in value.values():
            yield from _references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _references(inner)


def _at(document: dict[str, Any], reference: str) -> Any:
    found: Any = document
    for name in reference.removeprefix("#/").split("/"):
        found = found[name.replace("~1", "/").replace("~0", "~")]
    return found


def test_asyncapi_keeps_the_rules_of_its_own_structure(asyncapi: dict[str, Any]) -> None:
    """AsyncAPI 3.0.0: required members, references that lead somewhere, operations whose messages are the channel's."""
    assert asyncapi["asyncapi"] == "3.0.0"
    assert {"title", "version"} <= asyncapi["info"].keys()
    assert not asyncapi.keys() - {
        "asyncapi", "id", "info", "servers", "defaultContentType", "channels", "operations", "components",
    }  # fmt: skip
    for reference in _references(asyncapi):
        assert _at(asyncapi, reference) is not None, reference
    for channel in asyncapi["channels"].values():
        assert channel["address"].startswith("/")
    for operation in asyncapi["operations"].values():
        assert operation["action"] in ("send", "receive")
        channel = operation["channel"]["$ref"]
        for message in operation["messages"]:
            assert message["$ref"].startswith(f"{channel}/messages/")
    for message in asyncapi["components"]["messages"].values():
        Draft202012Validator.check_schema(message["payload"])
    for name, schema in asyncapi["components"]["schemas"].items():
        assert re.fullmatch(r"[A-Za-z0-9.\-_]+", name)
        Draft202012Validator.check_schema(schema)


async def test_events_that_are_sent_fit_the_asyncapi_document(mismo: Running, asyncapi: dict[str, Any]) -> None:
    payload = {**asyncapi["components"]["messages"]["events"]["payload"], "components": asyncapi["components"]}
    async with mismo.socket("*") as socket:
        await mismo.client.put("/api/settings/frontend", {"value": {"theme": "dark"}})
        message = await socket.reply("events")
    Draft202012Validator(payload).validate(message)


@pytest.mark.parametrize("path", ["/api/openapi.json", "/api/asyncapi.json", "/api/docs"])
async def test_documents_are_sent_once(mismo: Running, path: str) -> None:
    first = await mismo.client.request("GET", path)
    again = await mismo.client.request("GET", path, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status, again.content) == (304, b"")


async def test_page_needs_nothing_from_outside_and_may_load_nothing(mismo: Running) -> None:
    response = await mismo.client.request("GET", "/api/docs")
    page = response.content.decode()
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert not re.search(r"https?://|//[a-z]|@import|url\(|\bsrc=", page)
    # Inline handlers and style attributes are what the policy would block.
    assert not re.search(r"<[^>]+ (on\w+|style)=", page)
    policy = dict(rule.split(" ", 1) for rule in response.headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["connect-src"] == "'self'"
    for element in ("script", "style"):
        (text,) = re.findall(rf"<{element}>(.*?)</{element}>", page, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert policy[f"{element}-src"] == f"'sha256-{digest}'"
