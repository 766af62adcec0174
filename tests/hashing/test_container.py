"""What a file is told to be, and what it isn't."""

from __future__ import annotations

import io
import random

import pytest

from server.hashing.container import Container, identify

from .build import chunked, elementary, every, lossless, tags


def kind_of(data: bytes, name: str) -> Container | None:
    return identify(io.BytesIO(data), name)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0",
        bytes(5000),
        b"<!DOCTYPE html><html><body>404 Not Found</body></html>\n" * 50,
        b"MThd\0\0\0\6\0\1\0\6\1\xe0MTrk" + bytes(500),
        b"ajkg\2\xfb\xb1p\t\xf9%YR" * 50,
        b"\xff\xd8\xff\xe0\0\x10JFIF" + bytes(500),
        b"RIFF\0\1\0\0AVI LIST" + bytes(500),
        b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
        b"ID3 is a tag, but not this text",
        b"\xff" * 5000,
        b"I'm free as a bird" * 20,
        b"MP+ is a sum",
    ],
    ids=[
        "empty",
        "byte",
        "zeros",
        "html",
        "midi",
        "shorten",
        "jpeg",
        "avi",
        "heic",
        "text",
        "ones",
        "free text",
        "sum",
    ],
)
@pytest.mark.parametrize("name", ["a.mp3", "a.flac", "a.aac", "a.ac3", "a.wav", "a"])
def test_other_files_are_nothing_under_any_name(data: bytes, name: str) -> None:
    assert kind_of(data, name) is None


@pytest.mark.parametrize("seed", range(20))
def test_random_bytes_are_nothing(seed: int) -> None:
    assert kind_of(random.Random(seed).randbytes(50_000), "a.mp3") is None


def test_wrong_extension_is_overruled_by_the_content() -> None:
    assert kind_of(elementary.mpeg().data, "a.flac") is Container.MPEG
    assert kind_of(tags.id3v2() + elementary.mpeg().data, "a.m4a") is Container.MPEG
    assert kind_of(lossless.flac().data, "a.mp3") is Container.FLAC


@pytest.mark.parametrize("layer_byte", [b"\xff", b"\xfd", b"\xfb", b"\xf7", b"\xf5", b"\xf3", b"\xe3"])
def test_every_layer_and_version_of_mpeg_audio_is_told(layer_byte: bytes) -> None:
    header = b"\xff" + layer_byte + b"\x90\x64"
    length = elementary_frame_length(header)
    frames = (header.ljust(length, b"\x11")) * 3
    assert kind_of(frames, "a") is Container.MPEG
    assert kind_of(frames[:-1], "a") is Container.MPEG


def elementary_frame_length(header: bytes) -> int:
    """By ISO/IEC 11172-3 and 13818-3, for bit rate index 9 and sample rate index 0."""
    version, layer = header[1] >> 3 & 3, 4 - (header[1] >> 1 & 3)
    if version == 3:
        kbits, hertz = {1: 288, 2: 160, 3: 128}[layer], 44100
    else:
        kbits, hertz = {1: 144, 2: 80, 3: 80}[layer], 22050 if version == 2 else 11025
    if layer == 1:
        return 12000 * kbits // hertz * 4
    return (72000 if layer == 3 and version != 3 else 144000) * kbits // hertz


def test_one_frame_proves_nothing_without_the_extension() -> None:
    frame = elementary.mpeg_frames(1, 1)[0]
    assert kind_of(frame[:300], "a.mp3") is Container.MPEG
    assert kind_of(frame[:300], "a.wav") is None


def test_frames_behind_foreign_bytes_count_only_for_an_audio_stream() -> None:
    foreign = random.Random(1).randbytes(3000)
    data = foreign + elementary.mpeg().data
    assert kind_of(data, "a.mp3") is Container.MPEG
    assert kind_of(data, "film.mpg") is None
    assert kind_of(tags.id3v2() + data, "film.mpg") is Container.MPEG


def test_name_gives_way_to_the_frames_that_are_there() -> None:
    assert kind_of(bytes(700) + elementary.adts().data, "a.mp3") is Container.ADTS


def test_file_of_tags_alone_is_what_its_name_says_or_mpeg() -> None:
    assert kind_of(tags.id3v2(), "a.mp3") is Container.MPEG
    assert kind_of(tags.id3v2(), "a.aac") is Container.ADTS
    assert kind_of(tags.id3v2()[:15], "a.id3") is Container.MPEG
    assert kind_of(bytes(300) + tags.id3v1(), "a.mp3") is Container.MPEG
    assert kind_of(bytes(300) + tags.id3v1(), "a.txt") is None


def test_zeros_behind_a_tag_hide_nothing() -> None:
    assert kind_of(tags.id3v2() + bytes(10_000) + lossless.flac().data, "a") is Container.FLAC
    assert kind_of(tags.id3v2() + every.KINDS["m4a"](1).data, "a") is Container.MP4


def test_tag_that_claims_more_than_the_file_hides_no_frames() -> None:
    broken = b"ID3\4\0\0\x7f\x7f\x7f\x7f" + bytes(50)
    assert kind_of(broken + elementary.mpeg().data, "a.mp3") is Container.MPEG


def test_quicktime_file_without_a_type_is_told_by_its_first_atom() -> None:
    assert kind_of(b"\0\0\0\x08wide\0\0\0\x40mdat" + bytes(56), "a") is Container.MP4
    assert kind_of(b"\0\0\0\x40mdat" + bytes(56), "a") is Container.MP4


def test_forms_of_the_riff_family_are_told_apart() -> None:
    assert kind_of(chunked.rf64(form=b"BW64").data, "a") is Container.WAV
    assert kind_of(chunked.aiff(form=b"AIFC").data, "a") is Container.AIFF
    assert kind_of(b"FORM\0\0\0\x008SVX" + bytes(40), "a.aiff") is None
