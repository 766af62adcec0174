"""The words of the websocket protocol: topics, client messages, and frames built once for many clients."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Mapping
from enum import StrEnum
from functools import lru_cache
from typing import Any

import orjson
from marshmallow import EXCLUDE, Schema, ValidationError, fields, validate
from multidict import MultiMapping

from server import nesting
from server.api.parse import invalid
from server.errors import MismoError

MAX_MESSAGE_BYTES = 64 * 1024
MAX_TOPICS = 200
TOO_SLOW = 4008
GOING_AWAY = 1001
TRY_AGAIN = 1013
_TOPIC = re.compile(r"^(?:\*|[a-z_]+(?::[a-z_]+)*(?::\*)?)$")
_TEXT, _CLOSE, _PING = 0x1, 0x8, 0x9


class Detail(StrEnum):
    FULL = "full"
    IDS = "ids"


class Reset(StrEnum):
    """Why a client must fetch everything again."""

    TOO_OLD = "too_old"
    EPOCH = "epoch"
    TOO_SLOW = "too_slow"


class NotUnderstood(MismoError):
    """The message isn't one this server knows."""

    status = 422
    code = "not_understood"

    def __init__(self, detail: str | None = None, message_id: Any = None, code: str | None = None):
        super().__init__(detail)
        self.message_id = message_id
        if code is not None:
            self.code = code


class Topics:
    """What a connection is subscribed to: topic → detail. Made by `topics_of`, so that equal ones are the same object:
    connections that share one filter alike, and their frames are built once.
    """

    def __init__(self, details: Mapping[str, Detail]):
        self.details = details
        self._wants: dict[str, Detail | None] = {}

    def without(self, topics: Iterable[str]) -> Topics:
        gone = set(topics)
        return topics_of({topic: detail for topic, detail in self.details.items() if topic not in gone})

    def wants(self, name: str) -> Detail | None:
        """The most detailed of the topics that match an event's name; None when none does."""
        if name not in self._wants:
            found = {detail for topic, detail in self.details.items() if _matches(topic, name)}
            self._wants[name] = Detail.FULL if Detail.FULL in found else next(iter(found), None)
        return self._wants[name]


def _matches(topic: str, name: str) -> bool:
    return topic in ("*", name) or (topic.endswith(":*") and name.startswith(topic[:-1]))


def matches_any(topic: str, names: Iterable[str]) -> bool:
    """Whether a topic stands for at least one of the events."""
    return any(_matches(topic, name) for name in names)


def topics_of(details: Mapping[str, Detail]) -> Topics:
    return _interned(tuple(sorted(details.items())))


@lru_cache(maxsize=4096)
def _interned(details: tuple[tuple[str, Detail], ...]) -> Topics:
    return Topics(dict(details))


NO_TOPICS = topics_of({})


class _Message(Schema):
    class Meta:
        unknown = EXCLUDE

    type = fields.String(required=True, validate=validate.OneOf(["subscribe", "unsubscribe", "ping"]))
    id = fields.Raw(load_default=None)


class _Topics(_Message):
    topics = fields.List(
        fields.String(validate=validate.Regexp(_TOPIC, error="must be an event name, a prefix ending in ':*', or '*'")),
        required=True,
        validate=validate.Length(1, MAX_TOPICS),
    )


class _Subscribe(_Topics):
    since = fields.Integer(load_default=None, strict=True, validate=validate.Range(min=0))
    epoch = fields.String(load_default=None)
    detail = fields.Enum(Detail, by_value=True, load_default=Detail.FULL)


_SCHEMAS: dict[str, Schema] = {"subscribe": _Subscribe(), "unsubscribe": _Topics(), "ping": _Message()}


def parse(text: str) -> dict[str, Any]:
    """A client's message, validated; raises `NotUnderstood` with the id to echo, if there was one."""
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise NotUnderstood(f"not valid JSON: {error}", code="malformed_json") from None
    if not isinstance(value, dict):
        raise NotUnderstood("a message must be a JSON object")
    if nesting.is_too_deep(value):
        raise NotUnderstood(f"it is nested more than {nesting.MOST_LEVELS} levels deep")
    message_id = value.get("id")
    kind = value.get("type")
    schema = _SCHEMAS.get(kind) if isinstance(kind, str) else None
    if schema is None:
        raise NotUnderstood(f"type: must be one of {', '.join(_SCHEMAS)}", message_id, code="unknown_type")
    unknown = sorted(set(value) - set(schema.fields))
    if unknown:
        raise NotUnderstood(f"{', '.join(unknown)}: isn't known here", message_id, code="unknown_field")
    try:
        return dict(schema.load(value))
    except ValidationError as error:
        raise NotUnderstood(invalid(error).detail, message_id, code="invalid") from None


def topics_of_query(query: MultiMapping[str]) -> dict[str, Any] | None:
    """`/ws?topics=a,b&since=N` as the subscribe message it stands for; `topics` may be given several times."""
    if not query:
        return None
    twice = sorted({name for name in query if name != "topics" and len(query.getall(name)) > 1})
    if twice:
        raise NotUnderstood(f"{', '.join(twice)}: given more than once", code="invalid")
    if "type" in query:
        raise NotUnderstood("type: isn't known here", code="unknown_field")
    message: dict[str, Any] = {**query, "type": "subscribe"}
    if "topics" in query:
        message["topics"] = [topic.strip() for topics in query.getall("topics") for topic in topics.split(",")]
    if query.get("since", "").isdecimal():
        message["since"] = int(query["since"])
    return parse(orjson.dumps(message).decode())


def text_frame(payload: bytes) -> bytes:
    """An unmasked final text frame (RFC 6455, section 5.2), as a server sends it."""
    return _header(_TEXT, len(payload)) + payload


def close_frame(code: int, reason: str) -> bytes:
    payload = struct.pack("!H", code) + reason.encode()
    return _header(_CLOSE, len(payload)) + payload


PING_FRAME = struct.pack("!BB", 0x80 | _PING, 0)


def _header(opcode: int, length: int) -> bytes:
    if length < 126:
        return struct.pack("!BB", 0x80 | opcode, length)
    if length < 1 << 16:
        return struct.pack("!BBH", 0x80 | opcode, 126, length)
    return struct.pack("!BBQ", 0x80 | opcode, 127, length)
