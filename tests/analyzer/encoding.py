"""Writes samples as the seven formats people keep, with the encoders that come with PyAV."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

FORMATS = ("mp3", "flac", "m4a", "ogg", "opus", "wav", "aiff")
_CODECS = {
    "mp3": ("libmp3lame", "fltp"),
    "flac": ("flac", "s16"),
    "m4a": ("aac", "fltp"),
    "ogg": ("vorbis", "fltp"),
    "opus": ("libopus", "flt"),
    "wav": ("pcm_s16le", "s16"),
    "aiff": ("pcm_s16be", "s16"),
}
_LOSSY = {"mp3", "m4a", "ogg", "opus"}
# At 192 kbit/s the quick ways to encode are as good for hearing beats and chords, and take half the time.
_QUICK = {
    "mp3": {"compression_level": "9"},
    "m4a": {"aac_coder": "fast"},
    "opus": {"compression_level": "0"},
    "ogg": {"strict": "experimental"},
}


def write(path: Path, audio: NDArray[np.float32], rate: int) -> Path:
    """Encodes (channels, n) float samples as the path's suffix says.

    Opus becomes 48 kHz and MP3 that at most, as their formats want; the Vorbis encoder at hand knows stereo alone.
    """
    kind = path.suffix.lstrip(".")
    if kind == "ogg" and audio.shape[0] == 1:
        audio = np.repeat(audio, 2, axis=0)
    codec, sample_format = _CODECS[kind]
    layout = {1: "mono", 2: "stereo"}[audio.shape[0]]
    with av.open(str(path), "w") as container:
        stream = container.add_stream(
            codec, rate=48000 if kind == "opus" or (kind == "mp3" and rate > 48000) else rate, layout=layout
        )
        assert isinstance(stream, av.AudioStream)
        stream.format = sample_format
        if kind in _LOSSY:
            stream.bit_rate = 192_000
        stream.codec_context.options = _QUICK.get(kind, {})
        block = 1 << 16
        for start in range(0, audio.shape[1], block):
            samples = np.ascontiguousarray(audio[:, start : start + block], dtype=np.float32)
            frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout=layout)
            frame.sample_rate, frame.pts, frame.time_base = rate, start, Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path
