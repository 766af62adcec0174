"""Frames of a Matroska audio track, however they are put into blocks."""

from __future__ import annotations

import io

import pytest

from server.hashing.container import Container
from server.hashing.errors import AudioMissing, AudioTruncated, ContainerDamaged, ContainerTooComplex
from server.hashing.recording import audio_hash

from .build import matroska
from .build.sample import noise

SAMPLE = matroska.mka()


def hash_of(data: bytes) -> str | None:
    return audio_hash(io.BytesIO(data), Container.MATROSKA)


@pytest.mark.parametrize("lacing", ["none", "xiph", "ebml"])
@pytest.mark.parametrize("grouped", [False, True], ids=["simple blocks", "block groups"])
@pytest.mark.parametrize("live", [False, True], ids=["known sizes", "unknown sizes"])
def test_layout_doesn_t_matter(lacing: str, grouped: bool, live: bool) -> None:
    assert hash_of(matroska.mka(lacing=lacing, grouped=grouped, live=live).data) == SAMPLE.audio_hash


def test_fixed_lacing_is_read() -> None:
    sample = matroska.mka(lacing="fixed")
    assert hash_of(sample.data) == sample.audio_hash


@pytest.mark.parametrize("lacing", ["none", "xiph", "ebml", "fixed"])
def test_header_stripped_from_every_frame_is_audio(lacing: str) -> None:
    sample = matroska.mka(lacing=lacing, stripped=b"\xff\xfb\x90")
    assert hash_of(sample.data) == sample.audio_hash
    assert all(packet.startswith(b"\xff\xfb\x90") for packet in sample.packets)


def test_lace_larger_than_its_block_is_damaged_where_its_sizes_matter() -> None:
    body = matroska.block([b"abc", b"def", b"ghi"], lacing="xiph").replace(b"\3\3", b"\xf0\3", 1)
    with pytest.raises(ContainerDamaged):
        hash_of(matroska.document(matroska.tracks(b"\xff"), matroska.element(0xA3, body)))


def test_lace_that_ends_inside_its_sizes_is_damaged() -> None:
    with pytest.raises(ContainerDamaged):
        hash_of(matroska.document(matroska.tracks(), matroska.element(0xA3, b"\x81\0\0\2\xff\xff\xff")))


def test_film_without_sound_has_no_audio() -> None:
    video = matroska.element(0xAE, matroska.element(0xD7, b"\1"), matroska.element(0x83, b"\1"))
    blocks = matroska.element(0xA3, matroska.block([b"film"]))
    with pytest.raises(AudioMissing):
        hash_of(matroska.document(matroska.element(0x1654AE6B, video), blocks))


def test_file_cut_in_front_of_its_tracks_is_truncated() -> None:
    data = matroska.document(matroska.element(0xEC, bytes(5000)), matroska.tracks())
    with pytest.raises(AudioTruncated):
        hash_of(data[:2000])


def test_track_without_blocks_has_no_hash() -> None:
    assert hash_of(matroska.document(matroska.tracks())) is None


def test_element_without_children_and_size_is_damaged() -> None:
    with pytest.raises(ContainerDamaged):
        hash_of(matroska.document(matroska.tracks(), b"\xa3" + matroska.UNKNOWN + noise(1, 50)[0]))


@pytest.mark.parametrize(
    "bomb",
    [b"\xec\x80" * 600_000, b"\x18\x53\x80\x67\xff" * 300_000, b"\x1f\x43\xb6\x75\xff" * 300_000],
    ids=["voids", "nested segments", "nested clusters"],
)
def test_endless_elements_come_to_an_end(bomb: bytes) -> None:
    with pytest.raises(ContainerTooComplex):
        hash_of(matroska.document(bomb))


def test_endless_tracks_come_to_an_end() -> None:
    with pytest.raises(ContainerTooComplex):
        hash_of(matroska.document(matroska.element(0x1654AE6B, b"\xae\x80" * 600_000)))
