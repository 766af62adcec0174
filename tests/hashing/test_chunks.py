"""Samples in files made of chunks."""

from __future__ import annotations

import io
import struct

import pytest

from server.hashing.container import Container
from server.hashing.errors import AudioTruncated, ContainerDamaged, ContainerTooComplex
from server.hashing.recording import audio_hash

from .build import chunked, tags
from .build.sample import Sample, noise

LIST = chunked.chunk(b"LIST", b"INFOINAM\4\0\0\0abc\0")
ID3 = chunked.chunk(b"id3 ", tags.id3v2())


def hash_of(sample: Sample, data: bytes | None = None) -> str | None:
    return audio_hash(io.BytesIO(sample.data if data is None else data), sample.container)


@pytest.mark.parametrize("before", [b"", LIST, chunked.chunk(b"bext", bytes(603)), chunked.chunk(b"JUNK", b"odd")])
@pytest.mark.parametrize("after", [b"", LIST + ID3, ID3])
def test_chunks_around_the_samples_don_t_matter(before: bytes, after: bytes) -> None:
    assert hash_of(chunked.wav(before=before, after=after)) == chunked.wav().audio_hash


@pytest.mark.parametrize("after", [b"", chunked.aiff_chunk(b"ID3 ", tags.id3v2()), chunked.aiff_chunk(b"NAME", b"odd")])
def test_chunks_behind_aiff_samples_don_t_matter(after: bytes) -> None:
    assert hash_of(chunked.aiff(after=after)) == chunked.aiff().audio_hash


@pytest.mark.parametrize("claimed", [0, 0xFFFFFFFF, 0x7FFFF000, 5000])
def test_samples_whose_size_was_never_filled_in_reach_to_the_end(claimed: int) -> None:
    sample = chunked.wav(length=4000, claimed=claimed)
    assert hash_of(sample) == sample.audio_hash
    assert hash_of(sample, sample.data + tags.ape() + tags.id3v1()) == sample.audio_hash


def test_no_samples_in_front_of_another_chunk_are_no_audio() -> None:
    assert hash_of(chunked.wav(length=0, after=LIST)) is None
    assert hash_of(chunked.wav(length=0)) is None


@pytest.mark.parametrize("form", [b"RF64", b"BW64"])
def test_large_size_of_rf64_is_read(form: bytes) -> None:
    sample = chunked.rf64(form=form, after=LIST)
    assert hash_of(sample) == sample.audio_hash


def test_rf64_without_its_large_size_reaches_to_the_end() -> None:
    sample = chunked.rf64()
    data = sample.data.replace(struct.pack("<QQQI", 0, 4002, 0, 0), bytes(28))
    assert hash_of(sample, data) == sample.audio_hash


def test_padding_that_is_missing_hides_no_chunk() -> None:
    odd = b"JUNK" + struct.pack("<I", 3) + b"odd"
    assert hash_of(chunked.wav(before=odd)) == chunked.wav().audio_hash


@pytest.mark.parametrize("claimed", [0, (1 << 64) - 1])
def test_wave64_whose_size_was_never_filled_in_reaches_to_the_end(claimed: int) -> None:
    assert hash_of(chunked.w64(claimed=claimed)) == chunked.w64().audio_hash


def test_alignment_in_front_of_aiff_samples_is_no_audio() -> None:
    assert hash_of(chunked.aiff(alignment=16)) == chunked.aiff().audio_hash


def test_alignment_larger_than_the_chunk_leaves_no_audio() -> None:
    sample = chunked.aiff()
    at = sample.data.index(b"SSND") + 8
    assert hash_of(sample, sample.data[:at] + b"\xff\xff\xff\xff" + sample.data[at + 4 :]) is None


def test_aiff_whose_size_was_never_filled_in_reaches_to_the_end() -> None:
    assert hash_of(chunked.aiff(streamed=True)) == chunked.aiff().audio_hash


def test_byte_order_of_aiff_c_is_part_of_the_audio() -> None:
    samples = noise(1, 4000)[0]
    swapped = b"".join(samples[at : at + 2][::-1] for at in range(0, len(samples), 2))
    assert hash_of(chunked.wav(length=4000)) != hash_of(
        chunked.wav(length=4000), chunked.wav(length=4000).data.replace(samples, swapped)
    )


def test_caf_edit_count_and_unknown_size_don_t_matter() -> None:
    sample = chunked.caf()
    assert hash_of(chunked.caf(streamed=True)) == sample.audio_hash
    at = sample.data.index(b"data") + 12
    assert hash_of(sample, sample.data[:at] + b"\0\0\0\x63" + sample.data[at + 4 :]) == sample.audio_hash


def test_au_size_may_be_stated_or_not() -> None:
    assert hash_of(chunked.au()) == hash_of(chunked.au(size=4000)) == chunked.au().audio_hash
    assert hash_of(chunked.au(size=4000), chunked.au(size=4000).data + b"more") == chunked.au().audio_hash


def test_au_with_audio_inside_its_header_is_damaged() -> None:
    with pytest.raises(ContainerDamaged):
        audio_hash(io.BytesIO(b".snd" + struct.pack(">IIIII", 8, 100, 3, 44100, 2) + bytes(100)), Container.AU)


def test_dst_compressed_audio_is_hashed_as_it_is() -> None:
    assert hash_of(chunked.dff(sound=b"DST ")) == chunked.dff().audio_hash


@pytest.mark.parametrize(
    "sample",
    [chunked.wav(), chunked.rf64(), chunked.w64(), chunked.aiff(), chunked.caf(), chunked.au(), chunked.dsf()],
    ids=lambda sample: sample.extension,
)
def test_file_cut_in_front_of_its_samples_is_truncated(sample: Sample) -> None:
    for length in (0, 4, 13, 20, sample.data.index(sample.packets[0]) - 9):
        with pytest.raises(AudioTruncated):
            hash_of(sample, sample.data[:length])


@pytest.mark.parametrize("container", [Container.WAV, Container.AIFF, Container.DSF, Container.DFF, Container.W64])
def test_endless_empty_chunks_come_to_an_end(container: Container) -> None:
    with pytest.raises(ContainerTooComplex):
        audio_hash(io.BytesIO(bytes(64) + bytes(24 * 70_000)), container)
