"""OptimFROG. The format isn't published; its chunks follow the RIFF pattern without padding."""

from __future__ import annotations

from collections.abc import Iterator

from server.hashing import chunks, errors
from server.hashing.span import Span
from server.hashing.window import Window

_OFR = chunks.Layout("little")


def spans(window: Window, start: int) -> Iterator[Span]:
    """The bodies of the `COMP` chunks, without the wave header and trailer that are kept beside them."""
    is_found = False
    for chunk in chunks.walk(window, start, _OFR):
        if chunk.kind == b"COMP":
            is_found = True
            yield chunks.body(window, chunk)
    if not is_found:
        raise errors.AudioTruncated
