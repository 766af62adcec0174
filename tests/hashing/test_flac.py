"""Where the frames of a FLAC file begin."""

from __future__ import annotations

import io

import pytest

from server.hashing.container import Container
from server.hashing.errors import AudioTruncated, ContainerDamaged
from server.hashing.recording import audio_hash

from .build import lossless, tags
from .build.sample import noise

SAMPLE = lossless.flac()


def hash_of(data: bytes) -> str | None:
    return audio_hash(io.BytesIO(data), Container.FLAC)


@pytest.mark.parametrize(
    "blocks",
    [
        (),
        ((1, b""),),
        ((4, bytes(40)), (1, bytes(65536))),
        ((3, bytes(18 * 5)), (5, bytes(396)), (2, b"riff" + bytes(30))),
        ((6, noise(2, 300_000)[0]), (6, noise(3, 200_000)[0])),
    ],
    ids=["none", "empty padding", "padding", "seek table and cue sheet", "pictures"],
)
def test_metadata_blocks_don_t_matter(blocks: tuple[tuple[int, bytes], ...]) -> None:
    assert hash_of(lossless.flac(blocks=blocks).data) == SAMPLE.audio_hash


def test_id3_at_both_ends_doesn_t_matter() -> None:
    assert hash_of(tags.id3v2() + SAMPLE.data + tags.ape() + tags.id3v1()) == SAMPLE.audio_hash


@pytest.mark.parametrize("claimed", [5, 100, 70_000, (1 << 24) - 1])
def test_picture_block_with_a_wrong_size_hides_no_frames(claimed: int) -> None:
    (picture,) = noise(11, 90_000)
    data = lossless.flac(blocks=((6, picture),)).data
    right = bytes([0x86]) + len(picture).to_bytes(3, "big")
    assert data.count(right) == 1
    assert hash_of(data.replace(right, bytes([0x86]) + claimed.to_bytes(3, "big"))) == SAMPLE.audio_hash
    assert hash_of(data.replace(right, bytes([0x06]) + claimed.to_bytes(3, "big"))) == SAMPLE.audio_hash


def test_missing_flag_of_the_last_block_hides_no_frames() -> None:
    data = bytearray(SAMPLE.data)
    data[4 + 4 + 34] &= 0x7F
    assert hash_of(bytes(data)) == SAMPLE.audio_hash


def test_damaged_first_frame_is_still_audio() -> None:
    start = SAMPLE.data.index(SAMPLE.packets[0])
    damaged = SAMPLE.data[:start] + b"\0" + SAMPLE.data[start + 1 :]
    assert hash_of(damaged) not in (SAMPLE.audio_hash, None)


def test_file_without_frames_has_no_hash() -> None:
    start = SAMPLE.data.index(SAMPLE.packets[0])
    assert hash_of(SAMPLE.data[:start]) is None
    assert hash_of(SAMPLE.data[:start] + tags.id3v1()) is None


@pytest.mark.parametrize("length", [4, 7, 30, 60, 100])
def test_file_cut_inside_its_metadata_is_truncated(length: int) -> None:
    with pytest.raises(AudioTruncated):
        hash_of(SAMPLE.data[:length])


def test_chain_that_leads_nowhere_is_damaged() -> None:
    with pytest.raises(ContainerDamaged, match="lead to no frame"):
        hash_of(b"fLaC" + b"\x01\0\0\0" * 100 + b"\x30garbage" * 40)
