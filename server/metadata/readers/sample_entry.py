"""How an MP4 track's audio is encoded: the first entry of its `stsd` box.

ISO/IEC 14496-12, 12.2.3 (entry), 14496-1, 7.2.6 (`esds`), 14496-3, 1.6.2 (AAC); Apple's QuickTime and ALAC
specifications; ETSI TS 102 366 (`dac3`, `dec3`); the Opus and FLAC mappings to MP4.
"""

from __future__ import annotations

import struct

from server.metadata import boxes
from server.metadata.bits import Bits
from server.metadata.draft import Draft
from server.metadata.model import BitRateMode
from server.metadata.readers import flac

_CODECS = {
    b"mp4a": "aac",
    b"alac": "alac",
    b"ac-3": "ac3",
    b"ec-3": "eac3",
    b"fLaC": "flac",
    b"Opus": "opus",
    b".mp3": "mp3",
    b"drms": "aac",
    b"lpcm": "pcm",
    b"sowt": "pcm",
    b"twos": "pcm",
    b"in24": "pcm",
    b"in32": "pcm",
    b"ipcm": "pcm",
    b"fl32": "pcm_float",
    b"fl64": "pcm_float",
    b"fpcm": "pcm_float",
    b"alaw": "alaw",
    b"ulaw": "mulaw",
    b"samr": "amr",
}
_OBJECT_TYPES = {
    0x40: "aac",
    0x66: "aac",
    0x67: "aac",
    0x68: "aac",
    0x69: "mp3",
    0x6B: "mp3",
    0xA5: "ac3",
    0xA6: "eac3",
    0xA9: "dts",
    0xAD: "opus",
    0xDD: "vorbis",
}
_AAC_RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350)
_SBR, _PS, _ALS = 5, 29, 36
_GENERAL_AUDIO = (1, 2, 3, 4, 6, 7, 17, 19, 20, 21, 22, 23)
_MAY_HIDE_SBR = (1, 2, 3, 4, 6, 17, 19, 20, 22)
_SBR_EXTENSION, _PS_EXTENSION = 0x2B7, 0x548
_AC3_CHANNELS = (2, 1, 2, 3, 3, 4, 4, 5)
_AC3_KBITS = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640)
_QUICKTIME_EXTRA = {0: 0, 1: 16, 2: 36}
_OPUS_RATE = 48_000


def describe(draft: Draft, data: bytes, stsd: boxes.Box) -> None:
    """Fill in codec, channels, sample rate, bit depth and bit rate from an `stsd` box."""
    entry = next(boxes.walk(data, stsd.start + 8, stsd.end), None)
    if entry is None or entry.end - entry.start < 28:
        return
    version, channels, bits, rate = struct.unpack_from(">H6xHH4xI", data, entry.start + 8)
    draft.codec = _CODECS.get(entry.kind, entry.kind.decode("latin-1").strip().lower())
    draft.channels, draft.sample_rate = channels, rate >> 16
    if draft.codec in ("alac", "flac", "pcm", "pcm_float"):
        draft.bit_depth = bits
    inner = boxes.Box(b"", entry.start + 28 + _QUICKTIME_EXTRA.get(version, 0), entry.end)
    for box in boxes.walk(data, inner.start, inner.end):
        body = data[box.start : box.end]
        if box.kind == b"wave":  # QuickTime wraps the decoder's configuration once more
            for wrapped in boxes.walk(data, box.start, box.end):
                _configure(draft, wrapped.kind, data[wrapped.start : wrapped.end])
        else:
            _configure(draft, box.kind, body)


def _configure(draft: Draft, kind: bytes, body: bytes) -> None:
    if kind == b"esds":
        _read_esds(draft, body[4:])
    elif kind == b"alac" and len(body) >= 28:
        draft.bit_depth, draft.channels = body[9], body[13]
        draft.bit_rate, draft.sample_rate = struct.unpack_from(">II", body, 20)
        draft.bit_rate_mode = BitRateMode.VBR
    elif kind == b"dfLa":
        rate = draft.duration_seconds
        flac.read_stream_info(draft, body[8:])
        draft.duration_seconds = rate  # the track's own is the one that edits keep right
    elif kind == b"dOps" and len(body) >= 11:
        draft.channels, draft.sample_rate, draft.bit_rate_mode = body[1], _OPUS_RATE, BitRateMode.VBR
    elif kind == b"dac3":
        _read_dac3(draft, Bits(body))
    elif kind == b"dec3":
        draft.bit_rate = (Bits(body).take(13) * 1000) or None


def _read_dac3(draft: Draft, bits: Bits) -> None:
    bits.take(2 + 5 + 3)  # sample rate code, bit stream id and mode: the entry knows more rates
    draft.channels = _AC3_CHANNELS[bits.take(3)] + bits.take(1)
    code = bits.take(5)
    if code < len(_AC3_KBITS):
        draft.bit_rate, draft.bit_rate_mode = _AC3_KBITS[code] * 1000, BitRateMode.CBR


def _read_esds(draft: Draft, descriptors: bytes) -> None:
    tag, body = _descriptor(descriptors)
    if tag != 3 or len(body) < 3:
        return
    flags = body[2]
    skip = 3 + (2 if flags & 0x80 else 0)
    if flags & 0x40 and skip < len(body):
        skip += 1 + body[skip]
    skip += 2 if flags & 0x20 else 0
    tag, body = _descriptor(body[skip:])
    if tag != 4 or len(body) < 13:
        return
    draft.codec = _OBJECT_TYPES.get(body[0], draft.codec)
    draft.bit_rate = int.from_bytes(body[9:13], "big") or None
    tag, configuration = _descriptor(body[13:])
    if tag == 5 and body[0] == 0x40 and configuration:
        _read_audio_specific_config(draft, Bits(configuration))


def _descriptor(data: bytes) -> tuple[int, bytes]:
    """(tag, body) of the descriptor at the start; its size takes up to four bytes of seven bits."""
    if len(data) < 2:
        return 0, b""
    size = 0
    for at in range(1, min(5, len(data))):
        size = size << 7 | data[at] & 0x7F
        if not data[at] & 0x80:
            break
    return data[0], data[at + 1 : at + 1 + size]


def _read_audio_specific_config(draft: Draft, bits: Bits) -> None:
    object_type, rate, channel_code = _object_type(bits), _rate(bits), bits.take(4)
    sbr = ps = None  # unknown until the stream says so
    if object_type in (_SBR, _PS):
        sbr, ps = True, True if object_type == _PS else None
        rate = _rate(bits)
        object_type = _object_type(bits)
    if object_type == _ALS:
        draft.codec = "als"
    elif object_type in _GENERAL_AUDIO and sbr is None and channel_code:
        _skip_general_config(bits, object_type)
        if bits.left >= 16 and bits.take(11) == _SBR_EXTENSION and _object_type(bits) == _SBR:
            sbr = bool(bits.take(1))
            if sbr:
                rate = _rate(bits)
                if bits.left >= 12 and bits.take(11) == _PS_EXTENSION:
                    ps = bool(bits.take(1))
    if rate and (sbr is not None or object_type not in _MAY_HIDE_SBR or rate > 24_000):
        draft.sample_rate = rate
    if channel_code == 1:
        # Parametric stereo may hide in a mono stream; the sample entry then says how many channels come out.
        draft.channels = 2 if ps else draft.channels if ps is None else 1
    elif channel_code <= 7:
        draft.channels = 8 if channel_code == 7 else channel_code or draft.channels


def _skip_general_config(bits: Bits, object_type: int) -> None:
    bits.take(1)
    if bits.take(1):
        bits.take(14)
    extended = bits.take(1)
    if object_type in (6, 20):
        bits.take(3)
    if extended:
        bits.take(16 if object_type == 22 else 3 if object_type in (17, 19, 20, 23) else 0)
        bits.take(1)
    if object_type in (17, 19, 20, 21, 22, 23):
        bits.take(2)


def _object_type(bits: Bits) -> int:
    object_type = bits.take(5)
    return 32 + bits.take(6) if object_type == 31 else object_type


def _rate(bits: Bits) -> int:
    index = bits.take(4)
    if index == 15:
        return bits.take(24)
    return _AAC_RATES[index] if index < len(_AAC_RATES) else 0
