"""Our readers never contradict mutagen: what mutagen finds in a file's tags, they find, and it is the same."""

from __future__ import annotations

import io
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mutagen.id3 import APIC, COMM, GEOB, ID3, POPM, TALB, TBPM, TCON, TDRC, TIT2, TKEY, TPE1, TRCK, TXXX, USLT, Frame

from server.hashing.container import Container, identify
from server.metadata.assemble import assemble
from server.metadata.draft import Draft
from server.metadata.model import Metadata, MetadataSource
from server.metadata.read import read
from server.metadata.readers import by_mutagen
from server.metadata.source import Source
from server.metadata.tagging import apev2, fast_id3, id3, vorbis

from . import audio, corpus

STREAM_FIELDS = {
    "duration_seconds",
    "bit_rate",
    "bit_rate_mode",
    "bit_depth",
    "codec",
    "encoder",
    "tags_error",
    "metadata_source",
}
OURS_KNOWS_BETTER = {
    ("9d4f668b7d13_flac96.m4a", "sample_rate"),  # the sample entry has 16 bits for it; the FLAC header inside has 20
    ("18020d19c2a3_four_channels.wv", "channels"),  # mutagen looks at the first of its blocks only
}


def by_mutagen_alone(path: Path, container: Container) -> Metadata | None:
    draft = Draft()
    with path.open("rb") as file:
        try:
            by_mutagen.read(Source(file, path.name), draft, container)
        except Exception:
            return None
    return assemble(draft, container, path.name)


def said(metadata: Metadata) -> dict[str, Any]:
    """What the metadata states, without what it lacks or took from the file name."""
    stated = {field.name: getattr(metadata, field.name) for field in fields(metadata)}
    if metadata.metadata_source is MetadataSource.FILENAME:
        for name in ("title", "artist", "artists", "album", "track_number", "disc_number"):
            del stated[name]
    return {name: value for name, value in stated.items() if value not in (None, (), False)}


def from_id3(frames: id3.Id3Frames) -> Metadata:
    draft = Draft()
    id3.fill(draft, frames)
    return assemble(draft, None, "name")


@corpus.needs_corpus
@pytest.mark.parametrize("path", corpus.files(), ids=lambda path: path.name)
def test_what_mutagen_reads_from_a_real_file_we_read(path: Path) -> None:
    with path.open("rb") as file:
        container = identify(file, path.name)
        if container not in by_mutagen.READABLE:
            return
        ours = read(file, container, path.name)
    theirs = by_mutagen_alone(path, container)
    if theirs is None:
        return
    for name, value in said(theirs).items():
        if name not in STREAM_FIELDS and (path.name, name) not in OURS_KNOWS_BETTER:
            assert getattr(ours, name) == value, name


@corpus.needs_corpus
def test_the_fast_reader_understands_most_real_tags_and_all_as_mutagen_does() -> None:
    understood = total = 0
    for path in corpus.files():
        with path.open("rb") as file:
            source = Source(file, path.name)
            size = id3.tag_size(source.at(0, id3.HEADER_SIZE))
            if not size or size > source.size:
                continue
            total += 1
            frames = fast_id3.parse(source, 0)
            if frames is None or "\ufffd" in "".join(text for texts in frames.texts.values() for text in texts):
                continue
            understood += 1
            assert from_id3(frames) == from_id3(id3.parse(source.at(0, size))), path.name
    assert understood / total > 0.6


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=300)
encodings = st.sampled_from([1, 2, 3])
values = st.lists(texts, min_size=1, max_size=3)
frames = st.one_of(
    st.builds(TIT2, encodings, values),
    st.builds(TPE1, encodings, values),
    st.builds(TALB, encodings, values),
    st.builds(TKEY, encodings, values),
    st.builds(
        TRCK, st.just(0), st.lists(st.from_regex(r"[0-9]{1,3}(/[0-9]{1,3})?", fullmatch=True), min_size=1, max_size=2)
    ),
    st.builds(
        TBPM, st.just(0), st.lists(st.from_regex(r"[0-9]{1,3}(\.[0-9])?", fullmatch=True), min_size=1, max_size=1)
    ),
    st.builds(
        TCON, encodings, st.lists(st.one_of(texts, st.sampled_from(["17", "(4)Euro", "RX"])), min_size=1, max_size=3)
    ),
    st.builds(TDRC, encodings, st.lists(st.sampled_from(["2004", "1999-05", "2011-03-22T07:00:00", "x"]), max_size=2)),
    st.builds(COMM, encodings, st.sampled_from(["eng", "deu"]), st.sampled_from(["", "iTunNORM", "x"]), values),
    st.builds(TXXX, encodings, st.sampled_from(["EnergyLevel", "REPLAYGAIN_TRACK_GAIN", "Artists", "Ä"]), values),
    st.builds(USLT, encodings, st.just("eng"), st.just(""), texts),
    st.builds(POPM, st.sampled_from(["", "a@b"]), st.integers(0, 255), st.integers(0, 70_000)),
    st.builds(APIC, encodings, st.just("image/png"), st.integers(0, 20), texts, st.binary(min_size=1, max_size=9000)),
    st.builds(GEOB, st.just(0), st.just("x/y"), st.just(""), st.just("Serato Overview"), st.binary(max_size=9000)),
)


@given(st.lists(frames, max_size=12), st.sampled_from([3, 4]), st.sampled_from([0, 10, 1024]))
@settings(max_examples=300, deadline=None)
def test_the_fast_reader_reads_written_tags_as_mutagen_does(written: list[Frame], version: int, padding: int) -> None:
    tags = ID3()
    for frame in written:
        tags.add(frame)
    tag = audio.id3(tags, version, padding)
    fast = fast_id3.parse(Source(io.BytesIO(tag + b"\xff\xfb"), "x"), 0)
    if fast is not None:
        assert from_id3(fast) == from_id3(id3.parse(tag))


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_the_fast_reader_reads_damaged_tags_as_mutagen_does_or_leaves_them(data: st.DataObject) -> None:
    tags = ID3()
    for frame in data.draw(st.lists(frames, min_size=1, max_size=6)):
        tags.add(frame)
    tag = bytearray(audio.id3(tags, data.draw(st.sampled_from([3, 4])), 20))
    for _ in range(data.draw(st.integers(1, 4))):
        tag[data.draw(st.integers(3, len(tag) - 1))] = data.draw(st.integers(0, 255))
    if id3.tag_size(bytes(tag)) != len(tag):
        return
    fast = fast_id3.parse(Source(io.BytesIO(bytes(tag)), "x"), 0)
    if fast is None or "\ufffd" in repr(fast):
        return
    assert from_id3(fast) == from_id3(id3.parse(bytes(tag)))


@pytest.mark.parametrize("container", [Container.FLAC, Container.OGG, Container.MP4])
def test_files_made_from_nothing_are_real_enough_for_mutagen(container: Container, tmp_path: Path) -> None:
    content = {
        Container.FLAC: audio.flac(audio.flac_block(4, audio.vorbis_comments("TITLE=t"))),
        Container.OGG: audio.ogg_vorbis("TITLE=t"),
        Container.MP4: audio.mp4(audio.item(b"\xa9nam", 1, b"t")),
    }[container]
    path = tmp_path / "x"
    path.write_bytes(content)
    theirs = by_mutagen_alone(path, container)
    assert theirs is not None
    assert theirs.title == "t"


@given(st.lists(st.tuples(st.from_regex(r"[A-Z]{1,9}", fullmatch=True), texts), max_size=6))
def test_vorbis_comments_are_parsed_as_mutagen_parses_them(comments: list[tuple[str, str]]) -> None:
    from mutagen._vorbis import VComment

    block = audio.vorbis_comments(*(f"{name}={value}" for name, value in comments))
    parsed = vorbis.parse(block)
    theirs = VComment(block, framing=False)
    assert parsed.comments == list(theirs)
    assert (parsed.vendor, parsed.size, parsed.is_whole) == (theirs.vendor, len(block), True)


@given(st.dictionaries(st.sampled_from(["Title", "Artist", "Album", "Track", "Year"]), texts.filter(bool), min_size=1))
def test_ape_items_are_parsed_as_mutagen_parses_them(items: dict[str, str]) -> None:
    from mutagen.apev2 import APEv2

    content = bytes(100) + audio.ape_tag(**items)
    source = Source(io.BytesIO(content), "x")
    parsed = apev2.parse(apev2.find(source, source.size))
    theirs = APEv2(io.BytesIO(content))
    assert {key: value.decode() for key, _, value in parsed} == {key: str(value) for key, value in theirs.items()}
