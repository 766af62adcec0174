"""AAC in ADTS frames (ISO/IEC 13818-7, 6.2)."""

from __future__ import annotations

from server.hashing import adts, sync
from server.metadata.draft import Draft
from server.metadata.errors import NoAudio
from server.metadata.model import BitRateMode
from server.metadata.source import Source
from server.metadata.tagging import envelope

_RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350)
_SAMPLES = 1024  # in each of a frame's raw data blocks
_BLOCK = 256 << 10
_WALK_MOST = 16 << 20  # bytes; what follows is extrapolated


def read(source: Source, draft: Draft) -> None:
    """Read an ADTS file: no header states its length, so the frames are counted."""
    start = envelope.read_leading(source, draft)
    end = envelope.read_trailing(source, draft, start)
    found = sync.find_run(source.window, adts.SYNTAX, start, end)
    start = start if found is None else found
    header = source.at(start, 7)
    if adts.SYNTAX.parse(header) is None:
        raise NoAudio("There is no AAC frame in the file.")
    draft.codec, draft.bit_rate_mode = "aac", BitRateMode.VBR
    draft.sample_rate = _RATES[header[2] >> 2 & 15]
    channel_code = (header[2] & 1) << 2 | header[3] >> 6
    draft.channels = 8 if channel_code == 7 else channel_code or None
    blocks, walked = _count(source, start, end)
    share = (end - start) / walked if end - start > _WALK_MOST else 1.0
    draft.duration_seconds = blocks * share * _SAMPLES / draft.sample_rate
    draft.average_bit_rate(int(walked * share))


def _count(source: Source, start: int, end: int) -> tuple[int, int]:
    """(raw data blocks, bytes) of the frames from `start` on."""
    blocks, at = 0, start
    stop = min(end, start + _WALK_MOST)
    base, data = start, b""
    while at + 7 <= stop:
        if at + 7 > base + len(data):
            base, data = at, source.at(at, _BLOCK)
        place = at - base
        frame = adts.SYNTAX.parse(data[place : place + 7])
        if frame is None:
            found = sync.find_run(source.window, adts.SYNTAX, at + 1, stop)
            if found is None:
                break
            at = found
            continue
        blocks += (data[place + 6] & 3) + 1
        at += frame.length
    return blocks, max(1, min(at, stop) - start)
