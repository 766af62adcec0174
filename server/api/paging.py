"""Cursors: opaque text that says where a list goes on."""

from __future__ import annotations

import base64
import binascii
from typing import Any

import orjson

from server import errors


def encode_cursor(position: Any) -> str:
    """A JSON-ready position as URL-safe text."""
    return base64.urlsafe_b64encode(orjson.dumps(position)).rstrip(b"=").decode()


def decode_cursor(cursor: str) -> Any:
    """The position in a cursor; raises `Invalid` for text that no answer has given."""
    try:
        return orjson.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
    except (binascii.Error, ValueError):
        raise errors.Invalid.field("cursor", "isn't one that an answer gave") from None
