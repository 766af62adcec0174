"""The True Audio, version 1 (http://tausoft.org/wiki/True_Audio_Codec_Format)."""

from __future__ import annotations

import struct

from server.metadata.draft import Draft
from server.metadata.errors import Damaged
from server.metadata.model import BitRateMode
from server.metadata.source import Source
from server.metadata.tagging import envelope


def read(source: Source, draft: Draft) -> None:
    """Read a True Audio file: 18 bytes of header behind an ID3 tag."""
    start = envelope.read_leading(source, draft)
    end = envelope.read_trailing(source, draft, start)
    header = source.at(start, 18)
    if not header.startswith(b"TTA1") or len(header) < 18:
        raise Damaged("The True Audio header is missing or cut off.")
    channels, bits, rate, samples = struct.unpack_from("<HHII", header, 6)
    draft.codec, draft.bit_rate_mode = "tta", BitRateMode.VBR
    draft.channels, draft.bit_depth, draft.sample_rate = channels, bits, rate
    if rate:
        draft.duration_seconds = samples / rate
    draft.average_bit_rate(max(0, end - start))
