"""A message between processes of one server: the length in four bytes, and a pickle of so many."""

from __future__ import annotations

import pickle
import struct
from typing import Any

_LENGTH = struct.Struct("!I")
HEAD = _LENGTH.size
"""How many bytes come first, and say by `length` how many follow."""


def pack(message: Any) -> bytes:
    content = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    return _LENGTH.pack(len(content)) + content


def length(head: bytes) -> int:
    size: int = _LENGTH.unpack(head)[0]
    return size


def unpack(content: bytes) -> Any:
    return pickle.loads(content)  # noqa: S301 # the server's own words
