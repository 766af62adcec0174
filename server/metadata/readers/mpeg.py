"""MPEG audio, layers I to III, as an elementary stream: `.mp3`, `.mp2`, `.mp1`.

Frame header: ISO/IEC 11172-3, 2.4.1.3. Xing/Info header: http://gabriel.mp3-tech.org/mp3infotag.html.
VBRI header: https://www.codeproject.com/Articles/8295/MPEG-Audio-Frame-Header.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import lru_cache

from server.hashing import mpeg as mpeg_sync
from server.hashing import sync
from server.metadata.draft import Draft
from server.metadata.errors import NoAudio
from server.metadata.model import BitRateMode
from server.metadata.source import Source
from server.metadata.tagging import envelope

# Version bits: 3 MPEG-1, 2 MPEG-2, 0 MPEG-2.5. Layer bits: 3 layer I, 2 layer II, 1 layer III.
_SAMPLE_RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}
_LOW_RATES = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_KBITS = {
    (True, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): _LOW_RATES,
    (False, 3): _LOW_RATES,
}
_SYNC = re.compile(rb"\xff[\xe2-\xe7\xf2-\xff][\x10-\xef]")
_LAME_METHODS = {1: BitRateMode.CBR, 8: BitRateMode.CBR, 2: BitRateMode.ABR, 9: BitRateMode.ABR}

_HEAD = 2048  # holds the largest frame and the header behind it
_WALK_WHOLE = 32 << 10  # bytes of audio up to which all frames are counted, unless a header states them
_WALK_MOST = 64 << 20  # of a stream with a varying bit rate and no header; the rest is extrapolated
_BLOCK = 256 << 10
_PROBES = (0.25, 0.5, 0.75, 0.95)  # where a long stream is probed for another bit rate
_PROBE_SIZE = 4096
_PROBE_FRAMES = 6
_PADDING_TOLERANCE = 0.1  # frames; encoders pad some frames by a byte so that the average is right


@dataclass(frozen=True, slots=True)
class FrameHeader:
    """The four bytes in front of each frame, decoded."""

    layer: int
    bit_rate: int
    sample_rate: int
    channels: int
    samples: int
    """Per channel, in this frame."""
    length: int
    """Bytes, header included."""
    side_info: int
    """Bytes between header and data of layer III: where a Xing header stands."""


@dataclass(frozen=True, slots=True)
class Summary:
    """What an encoder's own header frame states about the whole stream."""

    frames: int
    size: int
    """Bytes; 0 when it isn't stated."""
    mode: BitRateMode
    encoder: str | None


@lru_cache(maxsize=1024)
def _decode(second: int, third: int, fourth: int) -> FrameHeader | None:
    version, layer = second >> 3 & 3, 4 - (second >> 1 & 3)
    rate_index, kbit_index, padding = third >> 2 & 3, third >> 4, third >> 1 & 1
    if second < 0xE0 or version == 1 or layer == 4 or rate_index == 3 or kbit_index in (0, 15):
        return None
    is_mpeg_1, is_mono = version == 3, fourth >> 6 == 3
    bit_rate = _KBITS[is_mpeg_1, layer][kbit_index - 1] * 1000
    sample_rate = _SAMPLE_RATES[version][rate_index]
    samples = 384 if layer == 1 else 1152 if layer == 2 or is_mpeg_1 else 576
    length = (
        (12 * bit_rate // sample_rate + padding) * 4 if layer == 1 else samples // 8 * bit_rate // sample_rate + padding
    )
    side_info = (17 if is_mono else 32) if is_mpeg_1 else (9 if is_mono else 17)
    return FrameHeader(layer, bit_rate, sample_rate, 1 if is_mono else 2, samples, length, side_info)


def frame_header(data: bytes, at: int = 0) -> FrameHeader | None:
    """The header at `at`, or None when no frame begins there."""
    if at + 4 > len(data) or data[at] != 0xFF:
        return None
    return _decode(data[at + 1], data[at + 2], data[at + 3])


def read(source: Source, draft: Draft) -> None:
    """Read an MPEG audio file: tags around it, then the stream."""
    start = envelope.read_leading(source, draft)
    end = envelope.read_trailing(source, draft, start)
    describe_stream(source, draft, start, end)


def describe_stream(source: Source, draft: Draft, start: int, end: int) -> None:
    """Describe the stream between two offsets. Raises NoAudio when there is no frame."""
    data = source.at(start, _HEAD)
    first = frame_header(data)
    if first is None or not _continues(data, first.length, first):
        start = _find_stream(source, start, end)
        data = source.at(start, _HEAD)
        first = frame_header(data)
    if first is None:
        raise NoAudio("There is no MPEG audio frame in the file.")
    draft.codec = f"mp{first.layer}"
    draft.sample_rate = first.sample_rate
    draft.channels = first.channels
    summary = _summary(data, first)
    if summary is None and _summary_at(data, first) is not None:
        start += first.length  # a header frame that states nothing holds no audio, either
    audio_bytes = max(0, end - start)
    if summary is not None:
        draft.duration_seconds = summary.frames * first.samples / first.sample_rate
        draft.bit_rate_mode = summary.mode
        draft.encoder = summary.encoder
        draft.average_bit_rate(summary.size or audio_bytes)
        draft.bit_rate = draft.bit_rate or float(first.bit_rate)
    elif audio_bytes > _WALK_WHOLE and _is_constant(source, start, end, first):
        draft.duration_seconds = _constant_frames(audio_bytes, first) * first.samples / first.sample_rate
        draft.bit_rate, draft.bit_rate_mode = first.bit_rate, BitRateMode.CBR
    else:
        _count_frames(source, draft, start, end, first)


def _continues(data: bytes, at: int, first: FrameHeader) -> bool:
    """Whether another frame of the same stream follows, or the data ends there."""
    if at + 4 > len(data):
        return True
    following = frame_header(data, at)
    return following is not None and (following.layer, following.sample_rate) == (first.layer, first.sample_rate)


def _find_stream(source: Source, start: int, end: int) -> int:
    found = sync.find_run(source.window, mpeg_sync.SYNTAX, start, end)
    return start if found is None else found


def _summary(frame: bytes, header: FrameHeader) -> Summary | None:
    at = _summary_at(frame, header)
    if at is None:
        return None
    return _vbri(frame) if frame[at : at + 4] == b"VBRI" else _xing(frame, at, header)


def _summary_at(frame: bytes, header: FrameHeader) -> int | None:
    """Where in its first frame an encoder put its own header."""
    if header.layer != 3:
        return None
    # Encoders disagree on whether a checksum moves the Xing header by its two bytes.
    for at in (4 + header.side_info, 6 + header.side_info):
        if frame[at : at + 4] in (b"Xing", b"Info"):
            return at
    return 36 if frame[36:40] == b"VBRI" else None


def _xing(frame: bytes, at: int, header: FrameHeader) -> Summary | None:
    flags = int.from_bytes(frame[at + 4 : at + 8], "big")
    cursor = at + 8
    frames = size = 0
    if flags & 1:
        frames = int.from_bytes(frame[cursor : cursor + 4], "big")
        cursor += 4
    if flags & 2:
        size = int.from_bytes(frame[cursor : cursor + 4], "big")
        cursor += 4
    cursor += 100 * (flags >> 2 & 1) + 4 * (flags >> 3 & 1)
    mode = BitRateMode.CBR if frame[at : at + 4] == b"Info" else BitRateMode.VBR
    version = frame[cursor : cursor + 9]
    encoder = None
    if version.startswith((b"LAME", b"L3.99", b"GOGO", b"Lavc", b"Lavf")):
        encoder = version.rstrip(b"\0 .U").decode("ascii", "replace")
        mode = _LAME_METHODS.get(frame[cursor + 9] & 15, mode) if cursor + 9 < len(frame) else mode
    audio_size = max(0, size - header.length)  # the stated size includes this frame, which holds no audio
    return Summary(frames, audio_size, mode, encoder) if frames else None


def _vbri(frame: bytes) -> Summary | None:
    size = int.from_bytes(frame[46:50], "big")
    frames = int.from_bytes(frame[50:54], "big")
    return Summary(frames, size, BitRateMode.VBR, "FhG") if frames else None


def _is_constant(source: Source, start: int, end: int, first: FrameHeader) -> bool:
    """Whether frames all over the stream have the bit rate of the first."""
    for place in _PROBES:
        data = source.at(start + int((end - start) * place), _PROBE_SIZE)
        for match in _SYNC.finditer(data):
            header = frame_header(data, match.start())
            if header and _continues(data, match.start() + header.length, first):
                if not _stays(data, match.start(), first.bit_rate):
                    return False
                break
    return True


def _stays(data: bytes, at: int, bit_rate: int) -> bool:
    for _ in range(_PROBE_FRAMES):
        header = frame_header(data, at)
        if header is None:
            return True
        if header.bit_rate != bit_rate:
            return False
        at += header.length
    return True


def _constant_frames(audio_bytes: int, first: FrameHeader) -> int:
    """Frames in so many bytes of a constant bit rate; one that the end of the file cuts off counts."""
    frames = audio_bytes * 8 * first.sample_rate / (first.bit_rate * first.samples)
    nearest = round(frames)
    return nearest if abs(frames - nearest) < _PADDING_TOLERANCE else math.ceil(frames)


def _count_frames(source: Source, draft: Draft, start: int, end: int, first: FrameHeader) -> None:
    """Walk the frames, stepping over damage, and take duration and bit rate from all of them."""
    frames = bits = 0
    rates: set[int] = set()
    at, base, block = start, 0, b""
    stop = min(end, start + _WALK_MOST)
    while at + 4 <= stop:
        if at + 4 > base + len(block):
            base, block = at, source.at(at, _BLOCK)
        header = frame_header(block, at - base)
        if header is None or header.sample_rate != first.sample_rate:
            resynced = _resync(source, at + 1, stop, first)
            if resynced is None:
                break
            at = resynced
            continue
        frames += 1  # also one that the end of the file cuts off
        bits += header.bit_rate
        rates.add(header.bit_rate)
        at += header.length
    if frames:
        draft.bit_rate = bits / frames
    draft.bit_rate_mode = BitRateMode.CBR if len(rates) <= 1 else BitRateMode.VBR
    walked = max(1, at - start)
    share = (end - start) / walked if stop < end else 1.0
    draft.duration_seconds = frames * share * first.samples / first.sample_rate


def _resync(source: Source, at: int, stop: int, first: FrameHeader) -> int | None:
    block = source.at(at, min(_BLOCK, stop - at))
    for match in _SYNC.finditer(block):
        header = frame_header(block, match.start())
        if (
            header
            and header.sample_rate == first.sample_rate
            and _continues(block, match.start() + header.length, first)
        ):
            return at + match.start()
    return None
