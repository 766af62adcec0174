"""Sun/NeXT AU (`.au`, `.snd`)."""

from __future__ import annotations

import struct

from server.metadata.draft import Draft
from server.metadata.errors import Damaged
from server.metadata.model import BitRateMode
from server.metadata.source import Source
from server.metadata.tagging import riff_info

_UNKNOWN_SIZE = 0xFFFFFFFF
_MAX_ANNOTATION = 4096
# Encoding → codec and bits per sample; 0 bits where samples have no fixed size.
_ENCODINGS = {
    1: ("mulaw", 8),
    2: ("pcm", 8),
    3: ("pcm", 16),
    4: ("pcm", 24),
    5: ("pcm", 32),
    6: ("pcm_float", 32),
    7: ("pcm_float", 64),
    23: ("adpcm", 4),
    27: ("alaw", 8),
}


def read(source: Source, draft: Draft) -> None:
    """Read an AU file: six numbers and an annotation."""
    header = source.at(0, 24)
    if len(header) < 24 or not header.startswith(b".snd"):
        raise Damaged("The AU header is cut off.")
    offset, size, encoding, rate, channels = struct.unpack_from(">IIIII", header, 4)
    draft.codec, bits = _ENCODINGS.get(encoding, (f"au_{encoding}", 0))
    draft.sample_rate, draft.channels, draft.bit_rate_mode = rate, channels, BitRateMode.CBR
    if draft.codec in ("pcm", "pcm_float"):
        draft.bit_depth = bits
    draft.bit_rate = rate * channels * bits or None
    size = min(source.size - offset, source.size if size == _UNKNOWN_SIZE else size)
    if draft.bit_rate:
        draft.duration_seconds = max(0, size) * 8 / draft.bit_rate
    annotation = riff_info.decode(source.at(24, min(offset - 24, _MAX_ANNOTATION)))
    if annotation.strip():
        draft.offer("comment", [annotation])
