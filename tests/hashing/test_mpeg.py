"""What belongs to the audio of an MPEG stream."""

from __future__ import annotations

import io

import pytest

from server.hashing.container import Container
from server.hashing.errors import AudioTruncated, ContainerDamaged
from server.hashing.recording import audio_hash

from .build import elementary, tags
from .build.sample import noise

SAMPLE = elementary.mpeg()


def hash_of(data: bytes) -> str | None:
    return audio_hash(io.BytesIO(data), Container.MPEG)


@pytest.mark.parametrize("kind", [b"Xing", b"Info"])
def test_table_of_contents_in_the_first_frame_is_no_audio(kind: bytes) -> None:
    assert hash_of(elementary.info_frame(kind) + SAMPLE.data) == SAMPLE.audio_hash


def test_vbri_header_is_no_audio() -> None:
    frame = (b"\xff\xfb\x90\x64" + bytes(32) + b"VBRI" + bytes(22)).ljust(elementary.MPEG_FRAME, b"\0")
    assert hash_of(frame + SAMPLE.data) == SAMPLE.audio_hash


def test_table_of_contents_behind_a_checksum_is_no_audio() -> None:
    frame = (b"\xff\xfa\x90\x64" + bytes(34) + b"Info").ljust(elementary.MPEG_FRAME, b"\0")
    assert hash_of(frame + SAMPLE.data) == SAMPLE.audio_hash


def test_table_of_contents_in_front_of_an_older_one_is_no_audio_either() -> None:
    assert hash_of(elementary.info_frame() + elementary.info_frame(b"Info") + SAMPLE.data) == SAMPLE.audio_hash


@pytest.mark.parametrize(
    "header, side_info",
    [(b"\xff\xfb\x90\xc4", 17), (b"\xff\xf3\x80\x64", 17), (b"\xff\xf3\x80\xc4", 9), (b"\xff\xe3\x48\xc4", 9)],
    ids=["mono", "MPEG-2", "MPEG-2 mono", "MPEG-2.5 mono"],
)
def test_table_of_contents_is_found_for_every_version_and_channel_mode(header: bytes, side_info: int) -> None:
    length = {b"\xfb\x90": 417, b"\xf3\x80": 208, b"\xe3\x48": 288}[header[1:3]]
    frames = b"".join(header + body for body in noise(4, *[length - 4] * 6))
    info = (header + bytes(side_info) + b"Xing").ljust(length, b"\0")
    assert hash_of(info + frames) == hash_of(frames)


def test_info_deeper_in_the_stream_is_audio() -> None:
    frames = elementary.mpeg_frames(1)
    data = b"".join([*frames[:3], elementary.info_frame(), *frames[3:]])
    assert hash_of(data) != SAMPLE.audio_hash


@pytest.mark.parametrize("junk", [bytes(4321), noise(3, 5000)[0], b"\xff\xfb\x90\x64 looks like one"], ids=str)
def test_junk_between_tag_and_first_frame_is_no_audio(junk: bytes) -> None:
    assert hash_of(tags.id3v2() + junk + SAMPLE.data) == SAMPLE.audio_hash


def test_junk_between_frames_is_kept() -> None:
    frames = elementary.mpeg_frames(1)
    data = b"".join([*frames[:6], b"junk" * 100, *frames[6:]])
    assert hash_of(data) not in (SAMPLE.audio_hash, None)


def test_tag_that_claims_more_than_the_file_takes_no_audio_away() -> None:
    assert hash_of(b"ID3\4\0\0\x7f\x7f\x7f\x7f" + bytes(70) + SAMPLE.data + tags.id3v1()) == SAMPLE.audio_hash


def test_tag_cut_short_is_a_truncated_file() -> None:
    with pytest.raises(AudioTruncated):
        hash_of(tags.id3v2(padding=5000)[:1500])


@pytest.mark.parametrize("length", [40, 200, elementary.MPEG_FRAME])
def test_file_that_ends_inside_its_table_of_contents_has_no_hash(length: int) -> None:
    assert hash_of(elementary.info_frame()[:length]) is None


def test_file_of_tags_alone_has_no_hash() -> None:
    assert hash_of(tags.id3v2() + tags.ape() + tags.id3v1()) is None


def test_file_without_frames_is_damaged() -> None:
    with pytest.raises(ContainerDamaged, match="No frames"):
        hash_of(tags.id3v2() + b"U" * 3000 + tags.id3v1())


def test_changing_bit_rate_and_padding_don_t_break_a_run() -> None:
    bodies = noise(8, 414, 622, 205)
    frames = b"\xff\xfb\x92\x64" + bodies[0] + b"\xff\xfb\xb0\x44" + bodies[1] + b"\xff\xfb\x50\x44" + bodies[2]
    assert hash_of(tags.id3v2() + b"\1\2\3" + frames) == hash_of(frames)
