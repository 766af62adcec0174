"""A file whose encoded audio is known."""

from __future__ import annotations

import random
from dataclasses import dataclass

import xxhash

from server.hashing.container import Container


@dataclass(frozen=True)
class Sample:
    """A file made for a test."""

    container: Container
    extension: str
    data: bytes
    """The whole file."""

    packets: tuple[bytes, ...]
    """Its encoded audio, in order. Packets are random, so that each occurs once in the file."""

    @property
    def name(self) -> str:
        return f"sample.{self.extension}"

    @property
    def audio_hash(self) -> str:
        """The hash that the contract gives it."""
        return xxhash.xxh3_128_hexdigest(b"".join(self.packets))

    @property
    def audio_offsets(self) -> list[int]:
        """Offset in the file of every byte of audio that lies there in one piece with its packet.

        Packets of a few bytes are left out: the same bytes may occur elsewhere.
        """
        places = [(self.data.find(packet), len(packet)) for packet in self.packets if len(packet) > 8]
        return [at for start, length in places if start >= 0 for at in range(start, start + length)]


def noise(seed: int, *lengths: int) -> tuple[bytes, ...]:
    """Random packets of these lengths, the same for the same seed."""
    source = random.Random(seed)
    return tuple(source.randbytes(length) for length in lengths)
