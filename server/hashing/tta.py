"""True Audio, TTA1. Format: http://tausoft.org/en/true_audio_codec_format/."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from server.hashing import errors, wrapping
from server.hashing.span import Span
from server.hashing.window import Window

_HEADER = struct.Struct("<10xII4x")  # sample rate in Hz, samples per channel
_CHECKSUM = 4


def spans(window: Window, start: int) -> Iterator[Span]:
    """The frames behind the seek table, which has an entry for each 256/245 s of audio."""
    end = wrapping.trailing(window, start)
    header = window.read(start, _HEADER.size)
    if len(header) < _HEADER.size:
        raise errors.AudioTruncated
    rate, samples = _HEADER.unpack(header)
    frame_samples = rate * 256 // 245
    if not frame_samples:
        raise errors.ContainerDamaged("The sample rate is 0.")
    frames = -(-samples // frame_samples)
    first = start + _HEADER.size + 4 * frames + _CHECKSUM
    if first > end:
        raise errors.AudioTruncated
    yield Span(first, end - first)
