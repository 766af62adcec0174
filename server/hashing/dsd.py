"""Direct Stream Digital: Sony's DSF and Philips' DSDIFF.

Formats: Sony, DSF File Format Specification 1.01; Philips, DSDIFF File Format 1.5.
"""

from __future__ import annotations

from collections.abc import Iterator

from server.hashing import chunks
from server.hashing.span import Span
from server.hashing.window import Window

_DSF = chunks.Layout("little", size_size=8, counts_header=True)
_DFF = chunks.Layout("big", size_size=8, alignment=2)


def dsf_spans(window: Window, start: int) -> Iterator[Span]:
    """The blocks of the `data` chunk, the zeros that fill the last one included."""
    yield chunks.body(window, chunks.find(window, start, _DSF, b"data"))


def dff_spans(window: Window, start: int) -> Iterator[Span]:
    """The body of the `DSD ` chunk, or of `DST ` when the audio is compressed."""
    yield chunks.body(window, chunks.find(window, start + 16, _DFF, b"DSD ", b"DST "))
