"""A stretch of bytes in a file."""

from __future__ import annotations

from typing import NamedTuple


class Span(NamedTuple):
    """`length` bytes from `offset` on, both in bytes from the start of the file.

    A plan of spans says what to hash, in which order. The reader clips every span to the real end of the file.
    A named tuple rather than a dataclass: packet streams make one per page or block.
    """

    offset: int
    length: int
