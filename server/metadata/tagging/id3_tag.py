"""An ID3v2 tag in a file: read fast where it is of the usual kind, and by mutagen where it isn't."""

from __future__ import annotations

from server.metadata.draft import Draft
from server.metadata.errors import TooComplex, Truncated
from server.metadata.source import Source
from server.metadata.tagging import fast_id3, id3

MAX_SIZE = 128 << 20
"""Bytes. Tags with a picture of 40 MiB exist."""


def read(draft: Draft, source: Source, offset: int, size: int) -> None:
    """Read the tag at `offset` into the draft. Raises what the parser does."""
    if not id3.tag_size(source.at(offset, id3.HEADER_SIZE)):
        raise Truncated("There is no ID3 tag where one should be.")
    if frames := fast_id3.parse(source, offset):
        id3.fill(draft, frames)
        return
    if size > MAX_SIZE:
        raise TooComplex(f"The ID3 tag claims {size >> 20} MiB.")
    tag = source.at(offset, size)
    id3.fill(draft, id3.parse(tag))
    if len(tag) < size:
        raise Truncated("The file ends inside its ID3 tag.")
