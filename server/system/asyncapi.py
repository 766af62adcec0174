"""AsyncAPI 3 of the websocket, from the events as they are declared."""

from __future__ import annotations

import dataclasses
import inspect
import typing
from typing import Any

from server import __version__
from server.events.model import Event, ResourceEvent, Transient, data_key, registry

_CLIENT_MESSAGES: dict[str, dict[str, Any]] = {
    "subscribe": {
        "type": "object",
        "required": ["type", "topics"],
        "properties": {
            "type": {"const": "subscribe"},
            "id": {"description": "echoed by the reply"},
            "topics": {
                "type": "array",
                "items": {"type": "string"},
                "description": "event names, prefixes ending in `:*`, or `*`",
            },
            "since": {"type": "integer", "description": "replay what came after this number"},
            "epoch": {"type": "string", "description": "the epoch the client knows"},
            "detail": {"enum": ["full", "ids"], "default": "full"},
        },
    },
    "unsubscribe": {
        "type": "object",
        "required": ["type", "topics"],
        "properties": {
            "type": {"const": "unsubscribe"},
            "id": {},
            "topics": {"type": "array", "items": {"type": "string"}},
        },
    },
    "ping": {"type": "object", "required": ["type"], "properties": {"type": {"const": "ping"}, "id": {}}},
}
_REPLIES: dict[str, dict[str, Any]] = {
    "hello": {"server": "string", "version": "string", "epoch": "string", "seq": "integer", "oldest_seq": "integer",
              "client_id": "string", "heartbeat": "integer"},
    "subscribed": {"id": "any", "topics": "array", "seq": "integer"},
    "unsubscribed": {"id": "any", "topics": "array", "seq": "integer"},
    "pong": {"id": "any", "seq": "integer"},
    "reset": {"reason": "string", "seq": "integer"},
    "error": {"id": "any", "code": "string", "detail": "string"},
}  # fmt: skip
_JSON_TYPES = {str: "string", int: "integer", float: "number", bool: "boolean", dict: "object", tuple: "array"}

# Fields of events that say where an event goes, and are no part of its payload.
_INTERNAL = ("client_id", "subject", "scope", "first_key", "last_key")


def document() -> dict[str, Any]:
    """The websocket as one AsyncAPI 3 document."""
    events = registry()
    messages = {
        **{name: {"name": name, "payload": schema} for name, schema in _CLIENT_MESSAGES.items()},
        **{name: {"name": name, "payload": _reply(name, members)} for name, members in _REPLIES.items()},
        "events": {"name": "events", "summary": "a batch of events, oldest first", "payload": _batch(events)},
    }
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "Mismo events", "version": __version__, "license": {"name": "GPL-3.0-or-later"}},
        "defaultContentType": "application/json",
        "channels": {
            "ws": {
                "address": "/ws",
                "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
            }
        },
        "operations": {
            "talk": _operation("receive", _CLIENT_MESSAGES),
            "listen": _operation("send", [*_REPLIES, "events"]),
        },
        "components": {
            "messages": messages,
            "schemas": {_schema_name(name): _event(kind) for name, kind in sorted(events.items())},
        },
    }


def _operation(action: str, names: typing.Iterable[str]) -> dict[str, Any]:
    return {
        "action": action,
        "channel": {"$ref": "#/channels/ws"},
        "messages": [{"$ref": f"#/channels/ws/messages/{name}"} for name in names],
    }


def _reply(name: str, members: dict[str, str]) -> dict[str, Any]:
    properties = {key: {} if kind == "any" else {"type": kind} for key, kind in members.items()}
    return {"type": "object", "properties": {"type": {"const": name}, **properties}}


def _batch(events: dict[str, type[Event]]) -> dict[str, Any]:
    kinds = [{"$ref": f"#/components/schemas/{_schema_name(name)}"} for name in sorted(events)]
    return {
        "type": "object",
        "required": ["type", "events"],
        "properties": {"type": {"const": "events"}, "events": {"type": "array", "items": {"oneOf": kinds}}},
    }


def _schema_name(event: str) -> str:
    return event.replace(":", "_")


def _event(kind: type[Event]) -> dict[str, Any]:
    hints = typing.get_type_hints(kind)
    items = [item for item in dataclasses.fields(kind) if item.name not in _INTERNAL]
    data: dict[str, Any] = {data_key(item): _json_type(hints[item.name]) for item in items}
    if issubclass(kind, ResourceEvent):
        data[kind.plural] = {
            "type": "array",
            "description": "with detail full: the resources as GET returns them",
            "items": {"type": "object"},
        }
    is_recorded = not issubclass(kind, Transient)
    return {
        "type": "object",
        "description": inspect.cleandoc(kind.__doc__ or ""),
        "required": [*(["seq"] if is_recorded else []), "event", "ts", "data"],
        "properties": {
            **({"seq": {"type": "integer"}} if is_recorded else {}),
            "event": {"const": kind.name},
            "ts": {"type": "string", "format": "date-time"},
            "data": {"type": "object", "properties": data},
        },
    }


def _json_type(hint: Any) -> dict[str, Any]:
    options = [option for option in typing.get_args(hint) if option is not type(None)]
    origin = typing.get_origin(hint)
    if origin in (dict, tuple):
        return {"type": _JSON_TYPES[origin]}
    if options and type(None) in typing.get_args(hint):
        inner = _json_type(options[0])
        return {**inner, "type": [inner["type"], "null"]} if "type" in inner else inner
    return {"type": _JSON_TYPES[hint]} if hint in _JSON_TYPES else {}
