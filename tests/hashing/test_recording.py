"""The promises of the audio hash, kept for every container."""

from __future__ import annotations

import io
import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from server.hashing import recording
from server.hashing.container import Container, identify
from server.hashing.errors import HashingError

from .build import every, tags
from .build.sample import Sample

kinds = pytest.mark.parametrize("kind", every.KINDS)

# An MP4 file counts its offsets from the start of the file, which nothing can be put in front of.
MOVABLE = [kind for kind in every.KINDS if "m4a" not in kind]


def hash_of(data: bytes, sample: Sample) -> str | None:
    return recording.audio_hash(io.BytesIO(data), sample.container)


@kinds
def test_hash_is_that_of_the_packets_and_nothing_else(kind: str) -> None:
    sample = every.KINDS[kind](1)
    assert hash_of(sample.data, sample) == sample.audio_hash


@kinds
def test_container_is_told_by_content_under_any_name(kind: str) -> None:
    sample = every.KINDS[kind](1)
    names = [sample.name] if kind == "musepack 5" else [sample.name, "song.txt", "song", "song.flac", "song.MP3"]
    assert {identify(io.BytesIO(sample.data), name) for name in names} == {sample.container}


@kinds
def test_other_audio_has_another_hash(kind: str) -> None:
    make = every.KINDS[kind]
    assert hash_of(make(1).data, make(1)) != hash_of(make(2).data, make(2))


@kinds
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_one_flipped_bit_of_the_audio_changes_the_hash(kind: str, data: st.DataObject) -> None:
    sample = every.KINDS[kind](1)
    offset = data.draw(st.sampled_from(sample.audio_offsets))
    damaged = bytearray(sample.data)
    damaged[offset] ^= 1 << data.draw(st.integers(0, 7))
    assert hash_of(bytes(damaged), sample) != sample.audio_hash


@kinds
def test_file_cut_short_has_another_hash_or_none(kind: str) -> None:
    sample = every.KINDS[kind](1)
    offsets = sample.audio_offsets
    for cut in (offsets[0] + 1, offsets[len(offsets) // 2], offsets[-1]):
        try:
            assert hash_of(sample.data[:cut], sample) != sample.audio_hash
        except HashingError as error:
            assert error.code in ("audio_truncated", "container_damaged")


@pytest.mark.parametrize("kind", MOVABLE)
def test_tags_in_front_of_the_file_leave_the_hash_alone(kind: str) -> None:
    sample = every.KINDS[kind](1)
    wrapped = tags.id3v2() + tags.ape(b"front") + tags.id3v2(padding=3000, version=3) + sample.data
    assert identify(io.BytesIO(wrapped), sample.name) is sample.container
    assert hash_of(wrapped, sample) == sample.audio_hash


@kinds
def test_tags_behind_the_file_leave_the_hash_alone(kind: str) -> None:
    sample = every.KINDS[kind](1)
    wrapped = sample.data + tags.ape() + tags.lyrics3v2() + tags.id3v1()
    assert identify(io.BytesIO(wrapped), sample.name) is sample.container
    assert hash_of(wrapped, sample) == sample.audio_hash


@kinds
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 2**32))
def test_damage_anywhere_raises_nothing_but_hashing_errors(kind: str, seed: int) -> None:
    source = random.Random(seed)
    sample = every.KINDS[kind](1)
    damaged = bytearray(sample.data)
    head = min(len(damaged), 600)
    for _ in range(source.randint(1, 12)):
        at = source.randrange(head if source.random() < 0.8 else len(damaged))
        damaged[at] = source.choice([0, 1, 0x7F, 0x80, 0xFF, source.randrange(256)])
    del damaged[source.randint(1, len(damaged)) :]
    file = io.BytesIO(bytes(damaged))
    container = identify(file, sample.name)
    for believed in {container, sample.container} - {None}:
        assert believed is not None
        try:
            result = recording.audio_hash(file, believed)
        except HashingError as error:
            assert error.code
            assert error.reason
        else:
            assert result is None or len(result) == 32


@settings(max_examples=300, deadline=None)
@given(
    data=st.binary(max_size=400), container=st.sampled_from(Container), name=st.sampled_from(["a.mp3", "a.mpc", "a"])
)
def test_any_bytes_as_any_container_raise_nothing_but_hashing_errors(
    data: bytes, container: Container, name: str
) -> None:
    identify(io.BytesIO(data), name)
    try:
        recording.audio_hash(io.BytesIO(data), container)
    except HashingError as error:
        assert error.code in {"audio_truncated", "audio_missing", "container_damaged", "container_too_complex"}


@kinds
def test_file_on_disk_is_identified_and_hashed_in_one_go(kind: str, tmp_path: Path) -> None:
    sample = every.KINDS[kind](1)
    path = tmp_path / sample.name
    path.write_bytes(sample.data)
    assert recording.hash_file(path) == recording.Recording(sample.container, sample.audio_hash)


def test_file_that_is_nothing_has_no_container_and_no_hash(tmp_path: Path) -> None:
    path = tmp_path / "page.mp3"
    path.write_bytes(b"<!DOCTYPE html><html><body>404 Not Found</body></html>\n" * 20)
    assert recording.hash_file(path) == recording.Recording(None, None)


def test_file_larger_than_the_buffer_is_hashed_whole() -> None:
    sample = every.KINDS["wav"](1)
    large = every.KINDS["flac"](3)
    padding = random.Random(7).randbytes(3_000_000)
    data = large.data + padding
    whole = Sample(large.container, large.extension, data, (*large.packets, padding))
    assert hash_of(data, whole) == whole.audio_hash
    assert hash_of(sample.data, sample) == sample.audio_hash


def test_hashing_leaves_nothing_of_one_file_for_the_next() -> None:
    long, short = every.KINDS["dsf"](1), every.KINDS["opus"](2)
    for sample in (long, short, long, short):
        assert hash_of(sample.data, sample) == sample.audio_hash
