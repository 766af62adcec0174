"""The engine's words: what it may send, validated, and the replies it gets."""

from __future__ import annotations

import math
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import orjson
from marshmallow import INCLUDE, Schema, ValidationError, fields, validate

from server import ids

MAX_MESSAGE_BYTES = 1024 * 1024
REQUEST = "getTrackInfo"
_ECHOED = 256
_DECK_LETTERS = 16


class Refusal(StrEnum):
    """Why `getTrackInfo` fails, in the words the engine knows."""

    NOT_FOUND = "Track not found"
    MISSING = "Track file missing"
    NOT_ANALYSED = "Analysis not complete"
    INVALID = "Invalid track ID"
    DENIED = "Permission denied"


class NotUnderstood(Exception):
    """A message that isn't one of the protocol; `request_id` is echoed if it could be read."""

    def __init__(self, reason: str, request_id: Any = None):
        super().__init__(reason)
        self.request_id = request_id


def _is_finite(value: float) -> None:
    if not math.isfinite(value):
        raise ValidationError("must be a finite number")


class _Message(Schema):
    class Meta:
        # An engine of a later version may say more than we know; what we know must be right.
        unknown = INCLUDE


def _is_id(value: str) -> None:
    if not ids.is_id(value):
        raise ValidationError(Refusal.INVALID.value)


def _is_name(value: str) -> None:
    if not value.isprintable():
        raise ValidationError("must be printable text")


class TrackInfoRequest(_Message):
    # Whatever it is, the answer is one of the five words.
    track_id = fields.Raw(load_default=None, allow_none=True, data_key="trackId")
    deck = fields.String(load_default=None, allow_none=True, validate=validate.Length(max=_DECK_LETTERS))
    stems = fields.Boolean(load_default=False)
    request_id = fields.Raw(load_default=None, data_key="requestId")


class _OnDeck(_Message):
    deck = fields.String(required=True, validate=[validate.Length(1, _DECK_LETTERS), _is_name])
    request_id = fields.Raw(load_default=None, data_key="requestId")


class LoadRequested(_OnDeck):
    track_id = fields.String(required=True, data_key="trackId", validate=_is_id)


class Loaded(_OnDeck):
    track_id = fields.String(required=True, data_key="trackId", validate=_is_id)
    success = fields.Boolean(required=True)


class CueSet(_OnDeck):
    index = fields.Integer(required=True, strict=True, validate=validate.Range(0, 7))
    position = fields.Float(required=True, validate=[validate.Range(0, 1e6), _is_finite])
    success = fields.Boolean(load_default=True)


class CueRemoved(_OnDeck):
    index = fields.Integer(required=True, strict=True, validate=validate.Range(0, 7))
    success = fields.Boolean(load_default=True)


class DeckUpdate(_OnDeck):
    track_id = fields.String(load_default=None, allow_none=True, data_key="trackId", validate=_is_id)
    position = fields.Float(load_default=None, allow_none=True, validate=_is_finite)
    playing = fields.Boolean(required=True)


_EVENTS: dict[str, Schema] = {
    "trackLoadRequested": LoadRequested(),
    "trackLoaded": Loaded(),
    "cuePointSet": CueSet(),
    "cuePointRemoved": CueRemoved(),
    "deckStateUpdate": DeckUpdate(),
}
_COMMANDS: dict[str, Schema] = {REQUEST: TrackInfoRequest()}


def parse(text: str | bytes) -> tuple[str, dict[str, Any]]:
    """The name of a command or event, and its validated content; `welcome` and acknowledgements come as they are.

    Raises `NotUnderstood`. An event's content may stand beside its `type` or in a `data` member.
    """
    try:
        message = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise NotUnderstood(f"not valid JSON: {error}") from None
    if not isinstance(message, dict):
        raise NotUnderstood("a message must be a JSON object")
    request_id = _echo(message.get("requestId"))
    command, kind = message.get("command"), message.get("type") or message.get("event")
    if command == REQUEST and (request := _plain(message)) is not None:
        return REQUEST, request
    if isinstance(command, str):
        return command, _load(_COMMANDS.get(command), command, message, request_id)
    if isinstance(kind, str) and kind in _EVENTS:
        inner = message.get("data")
        return kind, _load(
            _EVENTS[kind], kind, {**message, **inner} if isinstance(inner, dict) else message, request_id
        )
    if kind == "welcome" or isinstance(message.get("success"), bool):
        return "acknowledged", message
    raise NotUnderstood(f"unknown message {kind!r}"[:200], request_id)


def _plain(message: Mapping[str, Any]) -> dict[str, Any] | None:
    """A request as engines send it, at a tenth of the time of its schema, which any other is left to: a deck waits."""
    deck, stems = message.get("deck"), message.get("stems", False)
    if not isinstance(stems, bool) or not (deck is None or (isinstance(deck, str) and len(deck) <= _DECK_LETTERS)):
        return None
    return {
        "track_id": message.get("trackId"), "deck": deck, "stems": stems, "request_id": message.get("requestId"),
    }  # fmt: skip


def _load(schema: Schema | None, name: str, message: Mapping[str, Any], request_id: Any) -> dict[str, Any]:
    if schema is None:
        raise NotUnderstood(f"unknown command {name!r}"[:200], request_id)
    try:
        return dict(schema.load(message))
    except ValidationError as error:
        raise NotUnderstood(f"{name}: {error.messages}"[:1000], request_id) from None


def _echo(request_id: Any) -> Any:
    """What is echoed is bounded: a number, or text of a sensible length."""
    return request_id if isinstance(request_id, (int, float)) or len(str(request_id)) <= _ECHOED else None


def refusal(reason: str, request_id: Any, track_id: Any = None) -> dict[str, Any]:
    """A reply that says no; it names the track that was asked for, if that is something short."""
    named = {"trackId": track_id} if isinstance(track_id, str) and len(track_id) <= _ECHOED else {}
    return _reply(request_id, {"success": False}, named, {"error": reason})


def answer(request_id: Any, content: Mapping[str, Any]) -> dict[str, Any]:
    """A reply that says yes."""
    return _reply(request_id, {"success": True}, content)


def _reply(request_id: Any, *parts: Mapping[str, Any]) -> dict[str, Any]:
    first, *others = parts
    reply = {**first, **({} if request_id is None else {"requestId": request_id})}
    for part in others:
        reply.update(part)
    return reply
