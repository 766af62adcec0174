"""The entry to the package: what comes out whatever goes in."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.hashing.container import Container
from server.hashing.window import CAPACITY, Window
from server.metadata import read as entry
from server.metadata.draft import Draft
from server.metadata.model import MetadataSource
from server.metadata.read import read, read_file
from server.metadata.readers.by_mutagen import READABLE
from server.metadata.source import Source

from . import audio

EVERY_KIND = {
    Container.MPEG: audio.mp3_with_info(20),
    Container.FLAC: audio.flac(audio.flac_block(4, audio.vorbis_comments("TITLE=t"))),
    Container.OGG: audio.ogg_vorbis("TITLE=t"),
    Container.MP4: audio.mp4(audio.item(b"\xa9nam", 1, b"t")),
    Container.WAV: audio.wav(audio.riff_info(INAM=b"t")),
    Container.AIFF: audio.aiff(audio.iff_chunk(b"NAME", b"t")),
}


def test_missing_title_and_artist_come_from_the_file_name() -> None:
    metadata = read(io.BytesIO(audio.mp3()), Container.MPEG, "07 - Artist - Title (Mix).mp3")
    assert (metadata.title, metadata.artist, metadata.track_number) == ("Title (Mix)", "Artist", 7)
    assert metadata.metadata_source is MetadataSource.FILENAME
    assert metadata.tags_error is None


def test_a_missing_artist_alone_comes_from_the_file_name() -> None:
    content = audio.flac(audio.flac_block(4, audio.vorbis_comments("TITLE=tagged")))
    metadata = read(io.BytesIO(content), Container.FLAC, "07 - Artist - Title.flac")
    assert (metadata.title, metadata.artist, metadata.track_number) == ("tagged", "Artist", None)
    assert metadata.metadata_source is MetadataSource.FILENAME


def test_a_name_without_an_artist_leaves_tags_as_the_source() -> None:
    content = audio.flac(audio.flac_block(4, audio.vorbis_comments("TITLE=tagged")))
    metadata = read(io.BytesIO(content), Container.FLAC, "07 Title.flac")
    assert (metadata.artist, metadata.metadata_source) == (None, MetadataSource.TAGS)


def test_an_empty_file_is_described_by_its_name() -> None:
    metadata = read(io.BytesIO(), None, "Artist - Title.mp3")
    assert (metadata.title, metadata.artist) == ("Title", "Artist")
    assert metadata.tags_error == "empty_file: The file has no bytes."


def test_unknown_content_is_described_by_its_name_and_the_tags_around_it() -> None:
    metadata = read(io.BytesIO(b"<!DOCTYPE html>" * 90), None, "Artist - Title.mp3")
    assert metadata.title == "Title"
    assert metadata.tags_error is not None
    assert metadata.tags_error.startswith("unknown_container: ")
    tagged = read(io.BytesIO(b"x" * 900 + audio.id3v1("v1 title", "v1 artist")), None, "Artist - Title.mp3")
    assert (tagged.title, tagged.artist) == ("v1 title", "v1 artist")


def test_a_file_name_that_is_no_utf_8_is_readable(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/Bj\xf6rk - J\xf3ga.mp3"))
    path.write_bytes(audio.mp3())
    metadata = read_file(path)
    assert (metadata.title, metadata.artist, metadata.container) == ("Jóga", "Björk", Container.MPEG)


def test_the_content_decides_not_the_extension(tmp_path: Path) -> None:
    path = tmp_path / "wrong.mp3"
    path.write_bytes(EVERY_KIND[Container.FLAC])
    assert read_file(path).codec == "flac"


def test_a_file_that_is_gone_is_the_callers_affair(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_file(tmp_path / "gone.mp3")


@pytest.mark.parametrize("failure", [IndexError("x"), ZeroDivisionError(), RecursionError(), MemoryError(), KeyError()])
def test_a_reader_that_fails_leaves_the_file_to_mutagen(failure: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(source: Source, draft: Draft) -> None:
        raise failure

    monkeypatch.setitem(entry.READERS, Container.FLAC, failing)
    metadata = read(io.BytesIO(EVERY_KIND[Container.FLAC]), Container.FLAC, "x.flac")
    assert (metadata.title, metadata.sample_rate, metadata.tags_error) == ("t", 44_100, None)


def test_what_was_read_before_a_failure_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(source: Source, draft: Draft) -> None:
        draft.add("title", ["half read"])
        raise MemoryError

    monkeypatch.setitem(entry.READERS, Container.MATROSKA, failing)
    metadata = read(io.BytesIO(b"anything"), Container.MATROSKA, "x.mka")
    assert metadata.title == "half read"
    assert metadata.tags_error is not None
    assert metadata.tags_error.startswith("out_of_memory: ")


def test_every_container_has_a_reader() -> None:
    for container in Container:
        assert container in entry.READERS or container in READABLE


@pytest.mark.parametrize("container", EVERY_KIND)
def test_reading_needs_no_more_than_a_raw_file(container: Container, tmp_path: Path) -> None:
    path = tmp_path / "raw"
    path.write_bytes(EVERY_KIND[container])
    with path.open("rb") as file:
        assert read(file, container, "raw") == read(io.BytesIO(EVERY_KIND[container]), container, "raw")


@pytest.mark.parametrize("container", EVERY_KIND)
def test_a_window_that_holds_the_file_already_saves_reading_it(container: Container) -> None:
    file = io.BytesIO(EVERY_KIND[container])
    with Window(file) as window:
        window.view(0, CAPACITY)
        shared = read(file, container, "x", window)
    assert shared == read(io.BytesIO(EVERY_KIND[container]), container, "x")


@pytest.mark.parametrize("container", EVERY_KIND)
def test_a_file_cut_off_anywhere_is_still_a_track(container: Container) -> None:
    whole = EVERY_KIND[container]
    for size in range(1, min(len(whole), 700)):
        metadata = read(io.BytesIO(whole[:size]), container, "Artist - Title.x")
        assert metadata.title in ("t", "Title")


@pytest.mark.parametrize("container", list(Container))
@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_no_damage_makes_reading_fail(container: Container, data: st.DataObject) -> None:
    content = bytearray(EVERY_KIND.get(container, b"") or data.draw(st.binary(max_size=400)))
    for _ in range(data.draw(st.integers(0, 12))):
        if content:
            content[data.draw(st.integers(0, min(len(content), 600) - 1))] = data.draw(st.integers(0, 255))
    metadata = read(io.BytesIO(bytes(content)), container, "Artist - Title.x")
    assert metadata.title
    for value in (metadata.title, metadata.artist, metadata.album, metadata.comment, metadata.tags_error):
        (value or "").encode()
    assert metadata.duration_seconds is None or 0 <= metadata.duration_seconds < 1e9
    assert metadata.bit_rate is None or metadata.bit_rate >= 0
