"""Packets of an Ogg stream, on whatever pages they lie."""

from __future__ import annotations

import io

import pytest
import xxhash

from server.hashing.container import Container
from server.hashing.errors import AudioMissing, AudioTruncated
from server.hashing.recording import audio_hash

from .build import ogg
from .build.sample import noise

PACKETS = noise(1, *ogg.SIZES)
SAMPLE = ogg.vorbis()


def hash_of(data: bytes) -> str | None:
    return audio_hash(io.BytesIO(data), Container.OGG)


@pytest.mark.parametrize("segments", [1, 2, 7, 100, 254])
def test_pages_of_another_size_don_t_matter(segments: int) -> None:
    assert hash_of(ogg.vorbis(segments=segments).data) == SAMPLE.audio_hash


@pytest.mark.parametrize("length", [1, 254, 255, 4000, 200_000])
def test_comments_of_any_size_don_t_matter(length: int) -> None:
    assert hash_of(ogg.vorbis(comment=b"c" * length).data) == SAMPLE.audio_hash


def test_serial_number_sequence_and_checksum_don_t_matter() -> None:
    data = bytearray(ogg.vorbis(serial=77).data)
    at = 0
    while (at := data.find(b"OggS", at)) >= 0:
        data[at + 18 : at + 26] = noise(at, 8)[0]
        at += 27
    assert hash_of(bytes(data)) == SAMPLE.audio_hash


def test_audio_that_begins_on_the_page_of_the_last_header_is_found() -> None:
    headers = ogg.vorbis_headers()
    data = b"".join(ogg.pages(headers[:1]) + ogg.pages((*headers[1:], *PACKETS), first=1))
    assert hash_of(data) == SAMPLE.audio_hash


@pytest.mark.parametrize("extra", [0, 1, 3])
def test_extra_headers_of_speex_are_no_audio(extra: int) -> None:
    assert hash_of(ogg.speex(extra=extra).data) == ogg.speex().audio_hash


def test_flac_headers_are_counted_by_what_they_are() -> None:
    sample = ogg.flac()
    headers = ogg.flac_headers()
    unknown = headers[0].replace(b"\1\0\0\2fLaC", b"\1\0\0\0fLaC")
    announcing, rest = ogg.stream((unknown, *headers[1:], b"\x01\0\0\4pads"), sample.packets)
    assert hash_of(b"".join(announcing + rest)) == sample.audio_hash


def test_first_flac_mapping_is_read_too() -> None:
    sample = ogg.flac()
    announcing, rest = ogg.stream((b"fLaC", b"\0\0\0\x22" + bytes(34), b"\x84\0\0\0"), sample.packets)
    assert hash_of(b"".join(announcing + rest)) == sample.audio_hash


def test_other_streams_between_the_pages_don_t_matter() -> None:
    announcing, rest = ogg.stream(ogg.vorbis_headers(), PACKETS, serial=1, segments=40)
    film, frames = ogg.stream((ogg.theora_header(),), noise(9, 500, 9000, 20), serial=2)
    skeleton, bones = ogg.stream((b"fishead\0" + bytes(56),), noise(10, 80), serial=3)
    data = b"".join([*skeleton, *film, *announcing, *ogg.interleaved(frames, rest, bones)])
    assert hash_of(data) == SAMPLE.audio_hash


def test_second_audio_stream_is_another_recording() -> None:
    announcing, rest = ogg.stream(ogg.vorbis_headers(), PACKETS, serial=1)
    other, packets = ogg.stream(ogg.opus_headers(), noise(9, 500, 600), serial=2)
    assert hash_of(b"".join([*announcing, *other, *ogg.interleaved(packets, rest)])) == SAMPLE.audio_hash


def test_links_of_a_chain_all_count() -> None:
    second = ogg.opus(2)
    joined = xxhash.xxh3_128_hexdigest(b"".join((*SAMPLE.packets, *second.packets)))
    assert hash_of(SAMPLE.data + second.data) == joined
    assert hash_of(ogg.vorbis(segments=3, comment=b"x").data + second.data) == joined
    assert hash_of(second.data + SAMPLE.data) != joined


def test_chain_link_without_audio_doesn_t_matter() -> None:
    film, frames = ogg.stream((ogg.theora_header(),), noise(9, 500), serial=2)
    assert hash_of(SAMPLE.data + b"".join(film + frames)) == SAMPLE.audio_hash


def test_lost_page_is_noticed() -> None:
    announcing, rest = ogg.stream(ogg.vorbis_headers(), PACKETS, segments=40)
    assert hash_of(b"".join(announcing + rest[:-3] + rest[-2:])) not in (SAMPLE.audio_hash, None)


def test_junk_between_pages_is_no_audio() -> None:
    announcing, rest = ogg.stream(ogg.vorbis_headers(), PACKETS, segments=40)
    data = b"".join(announcing) + b"OggX" * 50 + (b"junk" * 20_000).join([rest[0], b"".join(rest[1:])]) + b"end"
    assert hash_of(data) == SAMPLE.audio_hash


def test_film_without_sound_has_no_audio() -> None:
    film, frames = ogg.stream((ogg.theora_header(),), noise(9, 500))
    with pytest.raises(AudioMissing):
        hash_of(b"".join(film + frames))


def test_file_cut_inside_its_headers_is_truncated() -> None:
    data = ogg.vorbis(comment=b"c" * 50_000).data
    for length in (40, 58, 100, 30_000):
        with pytest.raises(AudioTruncated):
            hash_of(data[:length])


def test_stream_of_headers_alone_has_no_hash() -> None:
    announcing, rest = ogg.stream(ogg.vorbis_headers(), ())
    assert hash_of(b"".join(announcing + rest)) is None
