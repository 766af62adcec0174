"""Samples of an MP4 audio track, wherever they lie."""

from __future__ import annotations

import io
import struct
from collections.abc import Sequence

import pytest

from server.hashing.container import Container
from server.hashing.errors import AudioMissing, AudioTruncated, ContainerDamaged
from server.hashing.recording import audio_hash

from .build import mp4
from .build.sample import noise

SAMPLE = mp4.m4a()
FTYP_END = len(mp4.FTYP)


def hash_of(data: bytes) -> str | None:
    return audio_hash(io.BytesIO(data), Container.MP4)


def file_of(audio: bytes, *tables: bytes, handler: bytes = b"soun") -> bytes:
    """A file with the audio in front of its index: it begins behind `ftyp` and the header of `mdat`."""
    return mp4.FTYP + mp4.box(b"mdat", audio) + mp4.movie(mp4.track(1, handler, *tables))


def one_chunk(samples: int) -> tuple[bytes, bytes]:
    return mp4.table_box(b"stsc", 1, 1, samples, 1), mp4.table_box(b"stco", 1, FTYP_END + 8)


@pytest.mark.parametrize("chunks", [(7,), (1,) * 7, (3, 3, 1), (2, 2, 3)])
@pytest.mark.parametrize("gap", [b"", b"a chapter track"], ids=["contiguous", "interleaved"])
@pytest.mark.parametrize("index_last", [False, True], ids=["index first", "index last"])
@pytest.mark.parametrize("wide", [False, True], ids=["32 bit", "64 bit"])
def test_layout_doesn_t_matter(chunks: Sequence[int], gap: bytes, index_last: bool, wide: bool) -> None:
    sample = mp4.m4a(chunks=chunks, gap=gap, index_last=index_last, wide=wide)
    assert sample.audio_hash == SAMPLE.audio_hash
    assert hash_of(sample.data) == SAMPLE.audio_hash


@pytest.mark.parametrize("base", ["moof", "file", "implied"])
@pytest.mark.parametrize("states_sizes", [True, False])
def test_fragments_hold_the_same_audio(base: str, states_sizes: bool) -> None:
    sample = mp4.fragmented(base=base, states_sizes=states_sizes)
    assert hash_of(sample.data) == sample.audio_hash
    if states_sizes:
        assert sample.audio_hash == SAMPLE.audio_hash


def test_fragments_of_other_tracks_don_t_matter() -> None:
    audio, film = b"".join(SAMPLE.packets), noise(7, 900)[0]
    tables = (mp4.table_box(b"stsc", 0), mp4.table_box(b"stsz", 0, 0), mp4.table_box(b"stco", 0))
    movie = mp4.movie(mp4.track(2, b"vide", *tables), mp4.track(1, b"soun", *tables))

    def part(track: int, sizes: Sequence[int], offset: int | None) -> bytes:
        where = b"" if offset is None else struct.pack(">i", offset)
        run = struct.pack(">II", 0x200 | (offset is not None), len(sizes)) + where
        run += struct.pack(f">{len(sizes)}I", *sizes)
        header = mp4.box(b"tfhd", struct.pack(">III", 0x8, track, 1024))
        return mp4.box(b"traf", header, mp4.box(b"trun", run))

    def fragment(offset: int) -> bytes:
        # Without a base of its own, the audio follows the film.
        parts = part(2, [400, 500], offset), part(1, mp4.SIZES, None)
        return mp4.box(b"moof", mp4.box(b"mfhd", bytes(8)), *parts)

    data = mp4.FTYP + movie + fragment(len(fragment(0)) + 8) + mp4.box(b"mdat", film, audio)
    assert hash_of(data) == SAMPLE.audio_hash


@pytest.mark.parametrize("bits, largest", [(4, 15), (8, 255), (16, 65535)])
def test_compact_sample_sizes_are_read(bits: int, largest: int) -> None:
    sizes = [largest, 3, largest, 1, 7]
    audio = noise(3, sum(sizes))[0]
    if bits == 4:
        packed = bytes([sizes[0] << 4 | sizes[1], sizes[2] << 4 | sizes[3], sizes[4] << 4])
    else:
        packed = b"".join(size.to_bytes(bits // 8, "big") for size in sizes)
    table = mp4.box(b"stz2", bytes(7), bytes([bits]), struct.pack(">I", len(sizes)), packed)
    data = file_of(audio + b"more", table, *one_chunk(5))
    assert hash_of(data) == hash_of(file_of(audio + b"more", mp4.sizes_box(sizes), *one_chunk(5)))


def test_samples_of_one_size_are_read() -> None:
    audio = noise(3, 4 * 600)[0]
    table = mp4.table_box(b"stsz", 4, 600)
    assert hash_of(file_of(audio + b"more", table, *one_chunk(600))) == hash_of(
        file_of(audio, mp4.sizes_box([2400]), *one_chunk(1))
    )


@pytest.mark.parametrize(
    "description, samples",
    [
        (mp4.description(version=0, channels=2, bits=16), 600),
        (mp4.description(version=1, extension=struct.pack(">IIII", 1, 2, 4, 2)), 600),
        (mp4.description(version=1, extension=struct.pack(">IIII", 64, 34, 68, 2)), 2304),
    ],
    ids=["uncompressed", "version 1", "packets of a fixed size"],
)
def test_quicktime_samples_of_size_1_are_what_the_description_says(description: bytes, samples: int) -> None:
    length = 2400 if samples == 600 else 2448
    audio = noise(3, length)[0]
    data = file_of(audio + b"more", description, mp4.table_box(b"stsz", 1, samples), *one_chunk(samples))
    assert hash_of(data) == hash_of(file_of(audio, mp4.sizes_box([length]), *one_chunk(1)))


def test_tables_longer_than_a_block_are_read_whole() -> None:
    count = 40_000
    sizes = [index % 7 for index in range(count)]
    audio = noise(3, sum(sizes))[0]
    starts, at = [], FTYP_END + 8
    for size in sizes:
        starts.append(at)
        at += size
    runs = [number for index in range(count) for number in (index + 1, 1, 1)]
    tables = (mp4.sizes_box(sizes), mp4.table_box(b"stsc", count, *runs), mp4.table_box(b"stco", count, *starts))
    assert hash_of(file_of(audio, *tables)) == hash_of(file_of(audio, mp4.sizes_box([len(audio)]), *one_chunk(1)))


def test_only_the_first_audio_track_counts() -> None:
    tables = (mp4.sizes_box([2000]), *one_chunk(1))
    others = mp4.sizes_box([500]), mp4.table_box(b"stsc", 1, 1, 1, 1), mp4.table_box(b"stco", 1, FTYP_END + 8 + 2000)
    audio = noise(3, 2500)[0]
    movie = mp4.movie(mp4.track(3, b"text", *others), mp4.track(1, b"soun", *tables), mp4.track(2, b"soun", *others))
    data = mp4.FTYP + mp4.box(b"mdat", audio) + movie
    assert hash_of(data) == hash_of(file_of(audio[:2000], *tables))


def test_free_space_and_unknown_atoms_don_t_matter() -> None:
    data = mp4.m4a(index_last=True).data
    assert hash_of(data + mp4.box(b"free", bytes(5000)) + mp4.box(b"uuid", noise(2, 900)[0])) == SAMPLE.audio_hash


def test_atom_without_a_size_reaches_to_the_end() -> None:
    data = bytearray(SAMPLE.data)
    at = data.index(b"mdat") - 4
    data[at : at + 4] = bytes(4)
    assert hash_of(bytes(data)) == SAMPLE.audio_hash


def test_film_without_sound_has_no_audio() -> None:
    with pytest.raises(AudioMissing):
        hash_of(file_of(b"film", mp4.sizes_box([4]), *one_chunk(1), handler=b"vide"))


def test_track_without_samples_has_no_hash() -> None:
    assert hash_of(file_of(b"", mp4.sizes_box([]), mp4.table_box(b"stsc", 0), mp4.table_box(b"stco", 0))) is None


def test_file_without_its_index_is_truncated() -> None:
    data = mp4.m4a(index_last=True).data
    with pytest.raises(AudioTruncated):
        hash_of(data[: data.index(b"moov") - 4])


def test_index_of_audio_beyond_the_end_is_truncated() -> None:
    data = SAMPLE.data
    with pytest.raises(AudioTruncated):
        hash_of(data[: data.index(b"mdat") + 4])


@pytest.mark.parametrize("missing", [b"stsz", b"stco", b"stsc"])
def test_incomplete_sample_table_is_damaged(missing: bytes) -> None:
    with pytest.raises(ContainerDamaged, match="incomplete"):
        hash_of(SAMPLE.data.replace(missing, b"free"))
