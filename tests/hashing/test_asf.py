"""Payloads of an ASF audio stream, however they are cut."""

from __future__ import annotations

import io
import struct

import pytest

from server.hashing.container import Container
from server.hashing.errors import AudioMissing, AudioTruncated, ContainerDamaged, ContainerTooComplex
from server.hashing.recording import audio_hash

from .build import asf
from .build.sample import noise

SAMPLE = asf.wma()


def hash_of(data: bytes) -> str | None:
    return audio_hash(io.BytesIO(data), Container.ASF)


@pytest.mark.parametrize("piece", [90, 333, 520])
@pytest.mark.parametrize("correction", [True, False])
def test_size_of_the_pieces_doesn_t_matter(piece: int, correction: bool) -> None:
    assert hash_of(asf.wma(piece=piece, correction=correction).data) == SAMPLE.audio_hash


def test_header_objects_don_t_matter() -> None:
    packets = [
        SAMPLE.data[at : at + asf.PACKET] for at in range(first_packet(SAMPLE.data), len(SAMPLE.data), asf.PACKET)
    ]
    extra = asf.asf_object(noise(3, 16)[0], noise(4, 70_000)[0])
    assert hash_of(asf.document(packets, extra)) == SAMPLE.audio_hash


def first_packet(data: bytes) -> int:
    return data.index(bytes.fromhex("3626b2758e66cf11a6d900aa0062ce6c")) + 50


def test_index_behind_the_packets_doesn_t_matter() -> None:
    assert hash_of(SAMPLE.data + asf.asf_object(noise(3, 16)[0], bytes(300))) == SAMPLE.audio_hash


@pytest.mark.parametrize("claimed", [0, 50, 1 << 40])
def test_data_object_of_unknown_size_reaches_to_the_end(claimed: int) -> None:
    start = first_packet(SAMPLE.data) - 34
    data = SAMPLE.data[:start] + struct.pack("<Q", claimed) + SAMPLE.data[start + 8 :]
    assert hash_of(data) == SAMPLE.audio_hash


def test_header_with_a_wrong_size_hides_no_packets() -> None:
    data = bytearray(SAMPLE.data)
    data[16:24] = struct.pack("<Q", len(SAMPLE.data) // 2)
    assert hash_of(bytes(data)) == SAMPLE.audio_hash


def test_packet_with_a_single_payload_is_read() -> None:
    body = noise(7, 500)[0]
    head = bytes([2 | 0x80, 0]) + struct.pack("<IB", 0, 8) + struct.pack("<II", len(body), 0)
    room = asf.PACKET - 3 - 2 - 2 - 6 - len(head) - len(body)
    single = b"\x82\0\0\x10\x5d" + struct.pack("<HIH", room, 0, 0) + head + body + bytes(room)
    several = asf.data_packet([asf.payload(2, 0, 0, len(body), body)])
    assert hash_of(asf.document([single])) == hash_of(asf.document([several]))


def test_small_objects_that_share_a_payload_are_read() -> None:
    pieces = noise(8, 40, 41, 1, 100)
    shared = asf.data_packet([asf.compressed_payload(1, [b"film"]), asf.compressed_payload(2, pieces)])
    apart = asf.data_packet([asf.payload(2, number, 0, len(piece), piece) for number, piece in enumerate(pieces)])
    assert hash_of(asf.document([shared])) == hash_of(asf.document([apart]))


def test_payload_that_claims_more_than_its_packet_is_cut() -> None:
    packet = bytearray(asf.data_packet([asf.payload(2, 0, 0, 400, noise(9, 400)[0])]))
    at = packet.index(struct.pack("<H", 400), 20)
    packet[at : at + 2] = b"\xff\xff"
    assert hash_of(asf.document([bytes(packet)])) is not None


def test_film_without_sound_has_no_audio() -> None:
    audio = bytes.fromhex("409e69f84d5bcf11a8fd00805f5c442b")
    with pytest.raises(AudioMissing):
        hash_of(SAMPLE.data.replace(audio, noise(1, 16)[0]))


def test_file_cut_in_front_of_its_packets_is_truncated() -> None:
    start = first_packet(SAMPLE.data)
    for length in (start - 1, start - 40, start - 50):
        with pytest.raises(AudioTruncated):
            hash_of(SAMPLE.data[:length])
    assert hash_of(SAMPLE.data[:start]) is None


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF])
def test_impossible_packets_are_damaged(size: int) -> None:
    with pytest.raises(ContainerDamaged, match=str(size)):
        hash_of(asf.document([bytes(100)], packet_size=size))


def test_endless_tiny_payloads_come_to_an_end() -> None:
    head = bytes([0, 1]) + bytes(6) + bytes([2, 1, 0])
    packet = head + b"\1a" * 120_000
    with pytest.raises(ContainerTooComplex):
        hash_of(asf.document([packet] * 8, packet_size=len(packet)))
