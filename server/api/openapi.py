"""OpenAPI 3.1 from the same declarations that route and validate."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from apispec.ext.marshmallow.openapi import OpenAPIConverter
from marshmallow import Schema, fields

from server import __version__, errors
from server.api import fields as own
from server.api.route import Route

_PATH_PARAMETER = re.compile(r"{(\w+)(?::[^}]*)?}")
_UNENCODED_REF = "#/components/schemas/"

PROBLEM: dict[str, Any] = {
    "type": "object",
    "description": "Problem details (RFC 9457)",
    "required": ["type", "title", "status", "detail", "code", "request_id", "success", "error"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string", "description": "stable, for programs"},
        "request_id": {"type": "string"},
        "success": {"const": False},
        "error": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "message"],
                "properties": {"field": {"type": "string"}, "message": {"type": "string"}},
            },
        },
    },
}
PAGINATION: dict[str, Any] = {
    "type": "object",
    "required": ["page", "limit", "total", "total_pages", "next_cursor"],
    "properties": {
        "page": {"type": ["integer", "null"]},
        "limit": {"type": "integer"},
        "total": {"type": ["integer", "null"]},
        "total_pages": {"type": ["integer", "null"]},
        "next_cursor": {"type": ["string", "null"]},
    },
}


def document(routes: Sequence[Route]) -> dict[str, Any]:
    """The whole API as one OpenAPI 3.1 document."""
    plugin = MarshmallowPlugin(schema_name_resolver=_schema_name)
    spec = APISpec(
        title="Mismo",
        version=__version__,
        openapi_version="3.1.0",
        plugins=[plugin],
        info={
            "description": "The open library server for DJs. Everything is under `/api`; `/api/v1` answers the same.",
            "license": {"name": "GPL-3.0-or-later", "identifier": "GPL-3.0-or-later"},
        },
        servers=[{"url": "/"}],
        security=[{}, {"bearer": []}],
    )
    spec.components.security_scheme("bearer", {"type": "http", "scheme": "bearer"})
    spec.components.schema("Problem", PROBLEM)
    spec.components.schema("Pagination", PAGINATION)
    converter = plugin.converter
    assert converter is not None
    _teach(converter)
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        path = _PATH_PARAMETER.sub(r"{\1}", ("" if route.is_root else "/api") + route.path)
        paths.setdefault(path, {})[route.method.lower()] = _operation(route, converter)
    for path, operations in paths.items():
        spec.path(path=path, operations=operations)
    result: dict[str, Any] = spec.to_dict()
    return result


def _teach(converter: OpenAPIConverter) -> None:
    converter.map_to_openapi_type(own.Timestamp, "string", "date-time")
    converter.map_to_openapi_type(own.Id, "string", "uuid")
    converter.map_to_openapi_type(own.CommaList, "array", None)
    converter.add_attribute_function(_comma_list)
    converter.attribute_functions.remove(converter.field2default)
    converter.add_attribute_function(_default)


def _default(converter: OpenAPIConverter, field: fields.Field[Any], **_: Any) -> dict[str, Any]:
    """What isn't given may be None in here, where nobody may send null."""
    is_inner = field.load_default is None and not field.allow_none
    return {} if is_inner else converter.field2default(field)


def _comma_list(_: OpenAPIConverter, field: fields.Field[Any], **__: Any) -> dict[str, Any]:
    if not isinstance(field, own.CommaList):
        return {}
    choices = field.choices
    return {"items": {"type": "string"} if choices is None else {"type": "string", "enum": choices}}


def _schema_name(schema: type[Schema] | Schema) -> str:
    kind = schema if isinstance(schema, type) else type(schema)
    name = kind.__name__.removesuffix("Schema").lstrip("_")
    if not name.endswith(("Body", "Query")):
        return name
    # Every domain calls what it takes in `AddBody` or `ListQuery`; in the document the domain tells them apart.
    domain = kind.__module__.split(".")[1]
    return domain.title() + name


def _operation(route: Route, converter: OpenAPIConverter) -> dict[str, Any]:
    text = inspect.cleandoc(route.handler.__doc__ or "")
    summary, _, description = text.partition("\n")
    operation: dict[str, Any] = {
        "operationId": route.name,
        "summary": summary.strip().rstrip("."),
        "tags": [route.tag] if route.tag else [],
        "parameters": _parameters(route, converter),
        "responses": _responses(route, converter),
    }
    if description.strip():
        operation["description"] = description.strip()
    if route.body is not None:
        operation["requestBody"] = {
            "required": route.is_body_required,
            "content": {"application/json": {"schema": converter.resolve_nested_schema(route.body)}},
        }
    if route.body_types:
        content = {
            kind: {"schema": {} if kind == "application/json" else {"type": "string", "format": "binary"}}
            for kind in route.body_types
        }
        operation["requestBody"] = {"required": route.is_body_required, "content": content}
    if route.is_open:
        operation["security"] = [{}]
    return operation


def _parameters(route: Route, converter: OpenAPIConverter) -> list[dict[str, Any]]:
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": _path_schema(name)}
        for name in _PATH_PARAMETER.findall(route.path)
    ]
    if route.query is not None:
        for parameter in converter.schema2parameters(route.query, location="query"):
            if parameter["schema"].get("type") == "array" and _is_comma_list(route.query, parameter["name"]):
                parameter.update(style="form", explode=False)
            parameters.append(parameter)
    if _is_cacheable(route):
        parameters.append(
            {
                "name": "If-None-Match",
                "in": "header",
                "required": False,
                "schema": {"type": "string"},
                "description": "the ETag of an answer before: 304 when it is still the same",
            }
        )
    if route.is_personal:
        parameters.append(
            {
                "name": "X-Mismo-Client",
                "in": "header",
                "required": False,
                "schema": {"type": "string", "format": "uuid"},
                "description": "the `client_id` of a websocket's hello: that client is told what comes of the request",
            }
        )
    if route.method == "POST" and route.status in (201, 202):
        parameters.append(
            {
                "name": "Idempotency-Key",
                "in": "header",
                "required": False,
                "schema": {"type": "string", "minLength": 1, "maxLength": 255},
                "description": "the same key and body within 24 h returns the first answer",
            }
        )
    return parameters


def _path_schema(name: str) -> dict[str, Any]:
    is_id = name == "id" or name.endswith("_id")
    return {"type": "string", "format": "uuid"} if is_id else {"type": "string", "minLength": 1}


def _is_comma_list(schema: Schema, name: str) -> bool:
    return any(
        isinstance(field, own.CommaList) for key, field in schema.fields.items() if (field.data_key or key) == name
    )


def _is_cacheable(route: Route) -> bool:
    return route.method == "GET" and (route.is_enveloped or route.is_live)


def _responses(route: Route, converter: OpenAPIConverter) -> dict[str, Any]:
    responses: dict[str, Any] = {str(route.status): _success(route, converter)}
    if route.may_be_known:
        known = _success(replace(route, status=200), converter)
        responses = {"200": {**known, "description": "It was there already"}, **responses}
    if _is_cacheable(route):
        responses["304"] = {"description": "Not modified since the ETag in If-None-Match"}
    for status, kinds in sorted(_failures(route).items()):
        responses[str(status)] = {
            "description": "; ".join(sorted(f"`{kind.code}`" for kind in kinds)),
            "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
    return responses


def _failures(route: Route) -> dict[int, set[type[errors.MismoError]]]:
    kinds: set[type[errors.MismoError]] = {*route.errors, errors.Unauthorized, errors.HostNotAllowed}
    kinds |= {errors.TooManyRequests, errors.DatabaseBusy, errors.Malformed, errors.Invalid}
    if "{" in route.path:
        kinds.add(errors.NotFound)
    if route.method != "GET":
        kinds |= {errors.OriginNotAllowed, errors.TooLarge, errors.DiskFull}
        kinds |= {errors.MalformedJson, errors.UnsupportedMediaType}
    if route.method == "POST":
        kinds.add(errors.IdempotencyConflict)
    by_status: dict[int, set[type[errors.MismoError]]] = {}
    for kind in kinds:
        by_status.setdefault(kind.status, set()).add(kind)
    return by_status


def _success(route: Route, converter: OpenAPIConverter) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": "Success"}
    if route.status == 204:
        return answer
    if route.produces != "application/json":
        answer["content"] = {kind: {"schema": {"type": "string"}} for kind in (route.produces, *route.also_produces)}
        return answer
    data = _data(route, converter)
    schema = data if not route.is_enveloped else _envelope(route, data)
    others = {kind: {"schema": {"type": "string"}} for kind in route.also_produces}
    answer["content"] = {"application/json": {"schema": schema}, **others}
    headers: dict[str, Any] = {}
    if _is_cacheable(route):
        headers["ETag"] = {"schema": {"type": "string"}}
    if route.is_live:
        headers["X-Mismo-Seq"] = {"schema": {"type": "integer"}, "description": "the event number this is true for"}
    if route.status in (201, 202):
        headers["Location"] = {"schema": {"type": "string"}}
    if headers:
        answer["headers"] = headers
    return answer


def _data(route: Route, converter: OpenAPIConverter) -> Mapping[str, Any]:
    if route.returns is None:
        return {}
    item: Mapping[str, Any] = (
        converter.resolve_nested_schema(route.returns) if isinstance(route.returns, Schema) else route.returns
    )
    return {"type": "array", "items": item} if route.is_list else item


def _envelope(route: Route, data: Mapping[str, Any]) -> dict[str, Any]:
    properties: dict[str, Any] = {"success": {"const": True}, "data": data, **route.extra}
    if route.is_paged:
        properties["pagination"] = {"$ref": _UNENCODED_REF + "Pagination"}
    return {"type": "object", "required": list(properties), "properties": properties}
