"""Tags around a file of whatever container: ID3v2 in front; APEv2, Lyrics3 and ID3v1 behind."""

from __future__ import annotations

from server.hashing import wrapping
from server.metadata.draft import Draft
from server.metadata.guard import attempt
from server.metadata.source import Source
from server.metadata.tagging import apev2, id3, id3_tag, id3v1

_MAX_STACKED = 8
_TAIL = 160
_MAX_LYRICS = 128 << 10


def read_leading(source: Source, draft: Draft) -> int:
    """Read the ID3v2 tags in front; returns the offset behind them. The first tag that has a field wins."""
    offset = 0
    for _ in range(_MAX_STACKED):
        size = id3.tag_size(source.at(offset, id3.HEADER_SIZE))
        if not size:
            break
        attempt(draft, id3_tag.read, draft, source, offset, size)
        offset += size
    return min(offset, source.size)


def read_trailing(source: Source, draft: Draft, start: int) -> int:
    """Read the tags behind; returns the offset where they begin. `start` is where the container begins."""
    tail = source.tail(min(_TAIL, source.size - start))
    if b"TAG" not in tail and b"LYRICS" not in tail and b"3DI" not in tail:  # "TAG" is in "APETAGEX", too
        return source.size
    end = wrapping.trailing(source.window, start)
    for ape_end in (source.size, source.size - id3v1.SIZE):
        if items := apev2.find(source, ape_end):
            apev2.fill(draft, apev2.parse(items))
            break
    if b"LYRICSBEGIN" in source.at(end, min(_MAX_LYRICS, source.size - end)):
        draft.has_lyrics = True
    if source.at(end, 3) == b"ID3" and (size := id3.tag_size(source.at(end, id3.HEADER_SIZE))):
        attempt(draft, id3_tag.read, draft, source, end, size)
    id3v1.fill(draft, source.at(source.size - id3v1.SIZE, id3v1.SIZE))
    return end
