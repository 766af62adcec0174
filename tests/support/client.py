"""An HTTP client that holds every answer against what its route declares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp
import orjson
from jsonschema import Draft202012Validator
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from server.api.openapi import document
from server.api.route import Route

# The declarations are the same in every test, and documenting them takes longer than most tests.
_DOCUMENTS: dict[frozenset[tuple[str, str]], dict[str, Any]] = {}


def _document(routes: Sequence[Route]) -> dict[str, Any]:
    key = frozenset((route.method, route.path) for route in routes)
    if key not in _DOCUMENTS:
        _DOCUMENTS[key] = document(routes)
    return _DOCUMENTS[key]


@dataclass(frozen=True, slots=True)
class Response:
    """An answer: its status, headers (names in lower case) and content."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.content)


class Client:
    def __init__(self, url: str, session: aiohttp.ClientSession, routes: Sequence[Route]):
        self.url = url
        self._session = session
        self._routes = routes
        self._checks: dict[tuple[str, str, int], Draft202012Validator] = {}

    async def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
        params: Any = None,
    ) -> Response:
        """Any request; the answer is checked against its declaration, whatever its status."""
        given = dict(headers or {})
        if body is not None:
            content = orjson.dumps(body)
        if content is not None:
            given.setdefault("Content-Type", "application/json")
        async with self._session.request(
            method, self.url + path, data=content, headers=given, params=params, allow_redirects=False
        ) as answer:
            response = Response(
                answer.status, {name.lower(): value for name, value in answer.headers.items()}, await answer.read()
            )
            canonical = path.split("?", maxsplit=1)[0]
        self._check(method, canonical, response)
        return response

    async def get(self, path: str, *, status: int = 200, **params: Any) -> Any:
        response = await self.request("GET", path, params=_flat(params))
        assert response.status == status, response.content.decode()
        return response.json if response.content else None

    async def post(self, path: str, body: Any = None, *, status: int = 200) -> Any:
        return await self._send("POST", path, body, status)

    async def put(self, path: str, body: Any = None, *, status: int = 200) -> Any:
        return await self._send("PUT", path, body, status)

    async def patch(self, path: str, body: Any = None, *, status: int = 200) -> Any:
        return await self._send("PATCH", path, body, status)

    async def delete(self, path: str, body: Any = None, *, status: int = 200) -> Any:
        return await self._send("DELETE", path, body, status)

    async def _send(self, method: str, path: str, body: Any, status: int) -> Any:
        response = await self.request(method, path, body)
        assert response.status == status, response.content.decode()
        return response.json if response.content else None

    def _check(self, method: str, path: str, response: Response) -> None:
        kind = response.headers.get("content-type", "").split(";")[0]
        if response.status >= 400:
            assert kind == "application/problem+json", f"{method} {path}: {kind}"
            problem = response.json
            assert problem["success"] is False
            assert problem["status"] == response.status
            assert problem["error"] == problem["detail"]
            assert problem["code"]
            assert problem["request_id"]
            return
        route = self._route(method, path)
        if route is None or kind != "application/json" or response.status == 304 or method == "HEAD":
            return
        declared = (200, route.status) if route.may_be_known else (route.status,)
        assert response.status in declared, f"{method} {path} answers {response.status}, declared is {declared}"
        validator = self._validator(route, response.status)
        problems = [f"{'/'.join(map(str, e.path))}: {e.message[:300]}" for e in validator.iter_errors(response.json)]
        assert not problems, f"{method} {path}: {problems[:5]}"

    def _route(self, method: str, path: str) -> Route | None:
        plain = path.removeprefix("/api/v1").removeprefix("/api") if path.startswith("/api") else path
        names = plain.split("/")
        found = [
            route
            for route in self._routes
            if route.method == method and route.is_root == (not path.startswith("/api")) and _fits(route.path, names)
        ]
        return min(found, key=lambda route: route.path.count("{"), default=None)

    def _validator(self, route: Route, status: int) -> Draft202012Validator:
        key = (route.method, route.path, status)
        if key not in self._checks:
            api = _document(self._routes)
            registry: Registry[Any] = Registry().with_resource("urn:api", DRAFT202012.create_resource(api))
            path = ("" if route.is_root else "/api") + route.path
            pointer = (
                f"#/paths/{_escape(path)}/{route.method.lower()}/responses/{status}/content/application~1json/schema"
            )
            self._checks[key] = Draft202012Validator({"$ref": f"urn:api{pointer}"}, registry=registry)
        return self._checks[key]


def _fits(template: str, names: Sequence[str]) -> bool:
    expected = template.split("/")
    return len(expected) == len(names) and all(
        part.startswith("{") or part == name for part, name in zip(expected, names, strict=True)
    )


def _escape(path: str) -> str:
    return path.replace("~", "~0").replace("/", "~1").replace("{", "%7B").replace("}", "%7D")


def _flat(params: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Keyword arguments as query parameters: a list repeats its name, a flag is lower-case text."""
    return [
        (name, str(item).lower() if isinstance(item, bool) else str(item))
        for name, value in params.items()
        for item in (value if isinstance(value, (list, tuple)) else [value])
    ]
