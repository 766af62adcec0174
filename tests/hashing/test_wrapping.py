"""Where the tags around a file end."""

from __future__ import annotations

import io
import itertools

import pytest

from server.hashing import wrapping
from server.hashing.window import Window

from .build import tags
from .build.sample import noise

(AUDIO,) = noise(5, 3000)

TRAILERS = {
    "ape": tags.ape(),
    "ape without header": tags.ape(header=False),
    "ape 1": tags.ape(version=1000, header=False),
    "lyrics3 2": tags.lyrics3v2(),
    "lyrics3 1": tags.lyrics3v1(),
    "id3v1": tags.id3v1(),
    "enhanced id3v1": tags.enhanced_id3v1() + tags.id3v1(),
    "id3v2 with footer": tags.id3v2(footer=True),
}


def window(data: bytes) -> Window:
    return Window(io.BytesIO(data))


@pytest.mark.parametrize("first, second", list(itertools.product(TRAILERS, TRAILERS)))
def test_trailing_tags_are_found_in_any_order(first: str, second: str) -> None:
    data = AUDIO + TRAILERS[first] + TRAILERS[second]
    assert wrapping.trailing(window(data), 0) == len(AUDIO)


def test_ape_tag_that_looks_like_an_id3v1_tag_is_taken_whole() -> None:
    tag = tags.ape(b"v" * (131 - len(tags.ape(b""))))
    assert tag[-128:-125] == b"TAG"  # of its own header's APETAGEX
    assert wrapping.trailing(window(AUDIO + tag), 0) == len(AUDIO)
    assert wrapping.trailing(window(AUDIO + tag + tags.id3v1()), 0) == len(AUDIO)


def test_ape_tag_with_a_header_it_denies_is_taken_whole() -> None:
    tag = bytearray(tags.ape())
    tag[-9] &= 0x7F  # the footer's flag "has a header"
    assert wrapping.trailing(window(AUDIO + bytes(tag)), 0) == len(AUDIO)


@pytest.mark.parametrize("size", [0, 31, 1 << 31, 0xFFFFFFFF])
def test_ape_tag_with_an_impossible_size_is_left_alone(size: int) -> None:
    tag = bytearray(tags.ape(header=False))
    tag[-20:-16] = size.to_bytes(4, "little")
    data = AUDIO + bytes(tag)
    assert wrapping.trailing(window(data), 0) == len(data)


def test_lyrics_whose_beginning_is_missing_are_left_alone() -> None:
    for tag in (tags.lyrics3v1()[5:], tags.lyrics3v2()[5:], b"LYRICSEND", b"999999LYRICS200", b"1LYRICS200"):
        assert wrapping.trailing(window(AUDIO + tag), 0) == len(AUDIO + tag)


def test_trailing_tags_never_reach_in_front_of_the_audio() -> None:
    data = tags.id3v2() + AUDIO[:50] + tags.id3v1()
    start = len(tags.id3v2())
    assert wrapping.trailing(window(data), start) == start + 50
    assert wrapping.trailing(window(tags.id3v1()[:100]), 0) == 100
    assert wrapping.trailing(window(tags.id3v1()), 60) == 128


def test_leading_tags_are_skipped_in_any_order() -> None:
    leaders = [tags.id3v2(), tags.id3v2(footer=True), tags.id3v2(version=2), tags.ape(), tags.id3v2(padding=5000)]
    for order in itertools.permutations(leaders):
        data = b"".join(order) + AUDIO
        assert wrapping.leading(window(data)) == (len(data) - len(AUDIO), True)


def test_file_without_tags_begins_at_once() -> None:
    assert wrapping.leading(window(bytes(10) + AUDIO)) == (0, False)


def test_zeros_behind_a_tag_belong_to_it() -> None:
    data = tags.id3v2() + bytes(9000)
    assert wrapping.leading(window(data + AUDIO)).end == len(data)
    assert wrapping.leading(window(data)).end == len(tags.id3v2())


def test_tag_larger_than_the_file_ends_behind_it() -> None:
    assert wrapping.leading(window(b"ID3\3\0\0\0\x7f\x7f\x7f" + AUDIO)).end > len(AUDIO) + 10


def test_what_only_looks_like_a_tag_is_none() -> None:
    for head in (b"ID3\xff\0\0\0\0\0\0", b"ID3\4\xff\0\0\0\0\0", b"ID3\4\0\0\x80\0\0\0", b"ID3\4\0", tags.ape()[-32:]):
        assert wrapping.leading(window(head + AUDIO)) == (0, False)


def test_endless_stacks_come_to_an_end() -> None:
    assert wrapping.leading(window(tags.id3v2() * 1000)).end == wrapping.MAX_TAGS * len(tags.id3v2())
    data = AUDIO + tags.id3v1() * 1000
    assert wrapping.trailing(window(data), 0) == len(data) - wrapping.MAX_TAGS * 128
