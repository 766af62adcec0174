"""AIFF and AIFF-C (Apple, Audio Interchange File Format AIFF-C, 1991)."""

from __future__ import annotations

import math

from server.hashing import chunks
from server.metadata.draft import Draft
from server.metadata.errors import Damaged
from server.metadata.guard import attempt
from server.metadata.model import BitRateMode
from server.metadata.source import Source
from server.metadata.tagging import envelope, id3_tag, riff_info

_LAYOUT = chunks.Layout("big", alignment=2)
_TEXT_CHUNKS = {b"NAME": "title", b"AUTH": "artist", b"ANNO": "comment"}
_CODECS = {
    b"NONE": "pcm",
    b"sowt": "pcm",
    b"twos": "pcm",
    b"in24": "pcm",
    b"in32": "pcm",
    b"fl32": "pcm_float",
    b"FL32": "pcm_float",
    b"fl64": "pcm_float",
    b"FL64": "pcm_float",
    b"alaw": "alaw",
    b"ALAW": "alaw",
    b"ulaw": "mulaw",
    b"ULAW": "mulaw",
    b"ima4": "adpcm",
    b"GSM ": "gsm",
}
_COMPRESSED_BITS = {"alaw": 8, "mulaw": 8}
_MAX_TEXT = 64 << 10


def read(source: Source, draft: Draft) -> None:
    """Read an AIFF or AIFF-C file. The ID3 chunk has precedence over AIFF's own text chunks."""
    start = envelope.read_leading(source, Draft())
    common = b""
    texts = Draft()
    audio_size = 0
    for chunk in chunks.walk(source.window, start + 12, _LAYOUT):
        if chunk.kind == b"COMM" and not common:
            common = source.at(chunk.offset, min(chunk.size, 64))
        elif chunk.kind == b"SSND":
            audio_size = max(0, min(chunk.size - 8, source.size - chunk.offset))
        elif chunk.kind in (b"ID3 ", b"id3 "):
            attempt(draft, id3_tag.read, draft, source, chunk.offset, min(chunk.size, source.size - chunk.offset))
        elif field := _TEXT_CHUNKS.get(chunk.kind):
            texts.add(field, [riff_info.decode(source.at(chunk.offset, min(chunk.size, _MAX_TEXT)))])
    draft.fill_from(texts)
    _describe(draft, common, audio_size)


def _describe(draft: Draft, common: bytes, audio_size: int) -> None:
    if len(common) < 18:
        raise Damaged("The AIFF file has no common chunk.")
    draft.channels = int.from_bytes(common[:2], "big")
    frames = int.from_bytes(common[2:6], "big")
    bits = int.from_bytes(common[6:8], "big")
    rate = extended_float(common[8:18])
    compression = common[18:22] if len(common) >= 22 else b"NONE"
    draft.codec = _CODECS.get(compression, "aiff_" + compression.decode("latin-1").strip().lower())
    draft.bit_rate_mode = BitRateMode.CBR
    if draft.codec in ("pcm", "pcm_float"):
        draft.bit_depth = bits
    if not rate:
        raise Damaged("The AIFF file has no sample rate.")
    draft.sample_rate = int(rate)
    draft.duration_seconds = frames / rate
    bits = _COMPRESSED_BITS.get(draft.codec, bits)
    if draft.codec in ("adpcm", "gsm"):
        draft.average_bit_rate(audio_size)
    else:
        draft.bit_rate = rate * bits * draft.channels


def extended_float(ten_bytes: bytes) -> float:
    """An 80-bit IEEE 754 extended number; 0.0 for what is no sensible rate."""
    exponent = int.from_bytes(ten_bytes[:2], "big")
    mantissa = int.from_bytes(ten_bytes[2:], "big")
    if exponent & 0x8000 or not mantissa or not 16383 - 64 < exponent < 16383 + 64:
        return 0.0
    return math.ldexp(mantissa, exponent - 16383 - 63)
