"""Monkey's Audio, by the headers of its reference SDK: the old form up to 3.97, a descriptor since 3.98."""

from __future__ import annotations

import struct

from server.metadata.draft import Draft
from server.metadata.errors import Damaged
from server.metadata.model import BitRateMode
from server.metadata.source import Source
from server.metadata.tagging import envelope

_WITH_DESCRIPTOR = 3980
_OLD_8_BIT, _OLD_24_BIT = 1, 8
_EXTRA_HIGH = 4000


def read(source: Source, draft: Draft) -> None:
    """Read a Monkey's Audio file. Its APEv2 tag has precedence over an ID3 tag in front."""
    around = Draft()
    start = envelope.read_leading(source, around)
    end = envelope.read_trailing(source, draft, start)
    draft.fill_from(around)
    header = source.at(start, 256)
    if not header.startswith(b"MAC ") or len(header) < 32:
        raise Damaged("The Monkey's Audio header is missing or cut off.")
    draft.codec, draft.bit_rate_mode = "ape", BitRateMode.VBR
    version = int.from_bytes(header[4:6], "little")
    samples = _describe(draft, header) if version >= _WITH_DESCRIPTOR else _describe_old(draft, header, version)
    if draft.sample_rate:
        draft.duration_seconds = max(0, samples) / draft.sample_rate
    draft.average_bit_rate(max(0, end - start))


def _describe(draft: Draft, header: bytes) -> int:
    """Returns the number of samples per channel."""
    at = int.from_bytes(header[8:12], "little")
    if at + 24 > len(header):
        raise Damaged("The Monkey's Audio descriptor is cut off.")
    per_frame, in_last, frames, bits, channels, rate = struct.unpack_from("<IIIHHI", header, at + 4)
    draft.bit_depth, draft.channels, draft.sample_rate = bits, channels, rate
    return (frames - 1) * per_frame + in_last if frames else 0


def _describe_old(draft: Draft, header: bytes, version: int) -> int:
    compression, flags, channels, rate = struct.unpack_from("<HHHI", header, 6)
    frames, in_last = struct.unpack_from("<II", header, 24)
    draft.bit_depth = 8 if flags & _OLD_8_BIT else 24 if flags & _OLD_24_BIT else 16
    draft.channels, draft.sample_rate = channels, rate
    per_frame = 73728 if version >= 3900 or (version >= 3800 and compression == _EXTRA_HIGH) else 9216
    per_frame *= 4 if version >= 3950 else 1
    return (frames - 1) * per_frame + in_last if frames else 0
