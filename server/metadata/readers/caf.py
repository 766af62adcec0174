"""Apple's Core Audio Format (Apple Core Audio Format Specification 1.0)."""

from __future__ import annotations

import struct

from server.hashing import chunks
from server.metadata import fields
from server.metadata.draft import Draft
from server.metadata.errors import Damaged
from server.metadata.guard import attempt
from server.metadata.model import BitRateMode
from server.metadata.source import Source
from server.metadata.tagging import id3_tag

_LAYOUT = chunks.Layout("big", size_size=8)
_UNKNOWN_SIZE = 0xFFFFFFFF_FFFFFFFF
_MAX_STRINGS = 1 << 20
_IS_FLOAT = 1
_CODECS = {
    b"alac": "alac",
    b"aac ": "aac",
    b".mp3": "mp3",
    b"ima4": "adpcm",
    b"alaw": "alaw",
    b"ulaw": "mulaw",
    b"opus": "opus",
    b"flac": "flac",
    b"ac-3": "ac3",
}


def read(source: Source, draft: Draft) -> None:
    """Read a CAF file."""
    description = b""
    audio_size = valid_frames = 0
    for chunk in chunks.walk(source.window, 8, _LAYOUT):
        if chunk.kind == b"desc":
            description = source.at(chunk.offset, 32)
        elif chunk.kind == b"pakt":
            valid_frames = int.from_bytes(source.at(chunk.offset + 8, 8), "big", signed=True)
        elif chunk.kind == b"info":
            _read_strings(draft, source.at(chunk.offset, min(chunk.size, _MAX_STRINGS)))
        elif chunk.kind == b"id3 ":
            attempt(draft, id3_tag.read, draft, source, chunk.offset, min(chunk.size, source.size - chunk.offset))
        elif chunk.kind == b"data":
            is_open = chunk.size == _UNKNOWN_SIZE
            audio_size = max(0, (source.size - chunk.offset if is_open else chunk.size) - 4)
    if len(description) < 32:
        raise Damaged("The CAF file has no audio description.")
    rate, kind, flags, packet_size, packet_frames, channels, bits = struct.unpack(">d4sIIIII", description)
    is_pcm = kind == b"lpcm"
    draft.codec = ("pcm_float" if flags & _IS_FLOAT else "pcm") if is_pcm else _CODECS.get(kind, kind.decode("latin-1"))
    draft.sample_rate = int(rate) if 0 < rate < 1e9 else None
    draft.channels = channels
    draft.bit_depth = bits if is_pcm or draft.codec in ("alac", "flac") else None
    draft.bit_rate_mode = BitRateMode.CBR if packet_size else BitRateMode.VBR
    if packet_size and packet_frames and not valid_frames:
        valid_frames = audio_size // packet_size * packet_frames
    if draft.sample_rate:
        draft.duration_seconds = max(0, valid_frames) / draft.sample_rate
    draft.average_bit_rate(audio_size)


def _read_strings(draft: Draft, body: bytes) -> None:
    texts = body[4:].decode(errors="replace").split("\0")
    for name, value in zip(texts[::2], texts[1::2], strict=False):
        if field := fields.of(name):
            draft.offer(field, [value])
