"""Monkey's Audio, True Audio, TAK, OptimFROG and Musepack."""

from __future__ import annotations

import io
import struct

import pytest

from server.hashing.container import Container
from server.hashing.errors import AudioTruncated, ContainerDamaged, ContainerTooComplex
from server.hashing.recording import audio_hash

from .build import chunked, lossless, tags
from .build.sample import Sample, noise


def hash_of(container: Container, data: bytes) -> str | None:
    return audio_hash(io.BytesIO(data), container)


def test_gain_in_musepack_headers_doesn_t_matter() -> None:
    for make, gain in ((lossless.musepack7, b"\1\2\3\4\5\6\7\x08"), (lossless.musepack8, b"\1\x40\1\2\3\4\5\6\7")):
        assert hash_of(Container.MUSEPACK, make(1, gain).data) == make(1).audio_hash


def test_chapters_in_musepack_don_t_matter() -> None:
    data = lossless.musepack8().data
    end = data.rindex(b"SE")
    assert hash_of(Container.MUSEPACK, data[:end] + b"CT\x0achapter" + data[end:]) == lossless.musepack8().audio_hash


def test_nothing_behind_the_end_of_musepack_matters() -> None:
    sample = lossless.musepack8()
    assert hash_of(Container.MUSEPACK, sample.data + b"AP\x08audio") == sample.audio_hash


def test_wave_trailer_in_an_ape_file_doesn_t_matter() -> None:
    sample = lossless.ape()
    data = sample.data.replace(struct.pack("<I", 4) + bytes(16), struct.pack("<I", 9) + bytes(16))
    assert hash_of(Container.APE, data + b"LIST!" + tags.ape()) == sample.audio_hash


def test_ape_that_claims_more_frames_than_there_are_is_cut_at_the_tags() -> None:
    sample = lossless.ape()
    data = sample.data[:-4].replace(struct.pack("<I", 3000), struct.pack("<I", 9000), 1)
    assert hash_of(Container.APE, data + tags.ape()) == sample.audio_hash


@pytest.mark.parametrize(
    "flags, version, before",
    [
        (0, 3900, b"RIFF" * 11 + bytes(8)),
        (4, 3900, bytes(4) + b"RIFF" * 11 + bytes(8)),
        (32, 3900, bytes(8)),
        (0, 3800, b"RIFF" * 11 + bytes(8) + bytes(2)),
    ],
    ids=["plain", "peak", "no wave header", "bit table"],
)
def test_every_layout_of_old_ape_headers_is_skipped(flags: int, version: int, before: bytes) -> None:
    (frames,) = noise(1, 3000)
    header = b"MAC " + struct.pack("<HHHHIIIII", version, 2000, flags, 2, 44100, 44, 4, 2, 1000)
    assert hash_of(Container.APE, header + before + frames + b"LIST") == lossless.old_ape().audio_hash


def test_seek_table_of_tta_doesn_t_matter() -> None:
    sample = lossless.tta()
    data = sample.data[:22] + noise(9, 16)[0] + sample.data[38:]
    assert hash_of(Container.TTA, data) == sample.audio_hash


def test_tta_without_a_sample_rate_is_damaged() -> None:
    with pytest.raises(ContainerDamaged, match="sample rate"):
        hash_of(Container.TTA, b"TTA1" + bytes(500))


@pytest.mark.parametrize(
    "sample",
    [lossless.ape(), lossless.old_ape(), lossless.tta(), lossless.tak(), lossless.musepack8(), chunked.optimfrog()],
    ids=["ape", "old ape", "tta", "tak", "musepack 8", "optimfrog"],
)
def test_file_cut_in_front_of_its_audio_is_truncated(sample: Sample) -> None:
    start = sample.data.index(sample.packets[0])
    for length in (4, 12, 30, start - 9):
        with pytest.raises(AudioTruncated):
            hash_of(sample.container, sample.data[:length])


def test_musepack_7_cut_inside_its_header_is_truncated() -> None:
    with pytest.raises(AudioTruncated):
        hash_of(Container.MUSEPACK, lossless.musepack7().data[:20])


@pytest.mark.parametrize("data", [b"MPCK" + b"XX\3" * (1 << 20), b"MPCK" + b"AP\3" * (1 << 20)])
def test_endless_empty_packets_come_to_an_end(data: bytes) -> None:
    with pytest.raises(ContainerTooComplex):
        hash_of(Container.MUSEPACK, data)


def test_packet_without_an_end_of_its_size_ends_musepack() -> None:
    with pytest.raises(AudioTruncated):
        hash_of(Container.MUSEPACK, b"MPCKSH" + b"\xff" * 50)
    with pytest.raises(AudioTruncated):
        hash_of(Container.MUSEPACK, b"MPCKSH\0" + bytes(50))


def test_endless_metadata_of_tak_comes_to_an_end() -> None:
    with pytest.raises(ContainerTooComplex):
        hash_of(Container.TAK, b"tBaK" + b"\1\0\0\0" * 10_000)
