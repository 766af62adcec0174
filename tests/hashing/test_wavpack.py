"""What a decoder needs of WavPack blocks."""

from __future__ import annotations

import io

import pytest

from server.hashing.container import Container
from server.hashing.errors import AudioTruncated, ContainerTooComplex
from server.hashing.recording import audio_hash

from .build import lossless, tags

SAMPLE = lossless.wavpack()


def hash_of(data: bytes) -> str | None:
    return audio_hash(io.BytesIO(data), Container.WAVPACK)


@pytest.mark.parametrize("kind", [0x21, 0x22, 0x23, 0x25, 0x26, 0x27, 0x2F])
@pytest.mark.parametrize("length", [0, 3, 44, 1001])
def test_optional_sub_blocks_don_t_matter(kind: int, length: int) -> None:
    extra = lossless.wavpack_sub_block(kind, b"\x55" * length)
    assert hash_of(lossless.wavpack(extra=extra).data) == SAMPLE.audio_hash


def test_length_of_the_whole_file_doesn_t_matter() -> None:
    assert hash_of(lossless.wavpack(total=0xFFFFFFFF).data) == SAMPLE.audio_hash


def test_needed_sub_blocks_matter() -> None:
    extra = lossless.wavpack_sub_block(0x03, b"\x55" * 6)
    assert hash_of(lossless.wavpack(extra=extra).data) != SAMPLE.audio_hash


def test_blocks_without_samples_don_t_matter() -> None:
    empty = lossless.wavpack_block(0, lossless.wavpack_sub_block(0x25, b"abc"))
    assert hash_of(empty + SAMPLE.data + empty) == SAMPLE.audio_hash
    assert hash_of(empty * 3) is None


def test_checksum_of_the_samples_matters() -> None:
    data = bytearray(SAMPLE.data)
    data[28] ^= 1
    assert hash_of(bytes(data)) != SAMPLE.audio_hash


def test_junk_between_blocks_is_no_audio() -> None:
    second = SAMPLE.data.index(b"wvpk", 1)
    data = SAMPLE.data[:second] + b"wvp!" * 30_000 + SAMPLE.data[second:] + tags.ape()
    assert hash_of(data) == SAMPLE.audio_hash


def test_block_that_claims_more_than_the_file_is_cut() -> None:
    block = bytearray(lossless.wavpack_block(5, lossless.wavpack_sub_block(0x0A, b"audio!")))
    block[4:8] = b"\xff\xff\xff\xff"
    assert hash_of(bytes(block)) is not None


def test_endless_empty_blocks_come_to_an_end() -> None:
    with pytest.raises(ContainerTooComplex):
        hash_of(lossless.wavpack_block(0, b"") * ((1 << 20) + 1))


def test_file_cut_inside_its_first_header_is_truncated() -> None:
    with pytest.raises(AudioTruncated):
        hash_of(SAMPLE.data[:31])
