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
    ends = [source.size, source.size - id3v1.SIZE]
    for tag_end in tuple(ends):  # an ID3v2 tag at the end of a file is found by its footer
        footer = source.at(tag_end - id3.HEADER_SIZE, id3.HEADER_SIZE)
        if footer.startswith(b"3DI") and (size := id3.tag_size(b"ID3" + footer[3:])):
            ends.append(tag_end - size)
            attempt(draft, id3_tag.read, draft, source, tag_end - size, size)
            break
    for tag_end in ends:
        if items := apev2.find(source, tag_end):
            apev2.fill(draft, apev2.parse(items))
            break
    if b"LYRICSBEGIN" in source.at(end, min(_MAX_LYRICS, source.size - end)):
        draft.has_lyrics = True
    id3v1.fill(draft, source.tail(id3v1.SIZE))
    return end
