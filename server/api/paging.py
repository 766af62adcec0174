"""Cursors: opaque text that says where a list goes on."""

from __future__ import annotations

import base64
import binascii
from typing import Any

import orjson
import xxhash

from server import errors

_CHECK_BYTES = 8
# Changes with the meaning of positions, so that a cursor from before an upgrade isn't misread.
_SEED = 1


def encode_cursor(position: Any) -> str:
    """A JSON-ready position as URL-safe text, with a checksum: what was changed or made up is told from ours."""
    content = orjson.dumps(position)
    return base64.urlsafe_b64encode(_check(content) + content).rstrip(b"=").decode()


def decode_cursor(cursor: str) -> Any:
    """The position in a cursor; raises `Invalid` for text that no answer has given."""
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    content = raw[_CHECK_BYTES:]
    # The last letter may hold bits that decode to nothing; compared as text, two spellings are told apart.
    if raw[:_CHECK_BYTES] != _check(content) or base64.urlsafe_b64encode(raw).rstrip(b"=").decode() != cursor:
        raise errors.Invalid.field("cursor", "isn't one that an answer gave")
    return orjson.loads(content)


def _check(content: bytes) -> bytes:
    return xxhash.xxh3_64_digest(content, _SEED)
