"""Four stems by signal processing: what pulses and what sustains, what is low, what stands in the middle.

Nothing here knows instruments. `drums` is the percussive part, `bass` the sustained part below some 180 Hz, `vocals`
what sustains between 180 Hz and 8 kHz and is the same in both channels, `other` all the rest. They add up to the
original but for the rounding to 16 bits. Percussive and sustained parts are told apart by medians along time and
frequency: Fitzgerald, Harmonic/Percussive Separation Using Median Filtering (2010).
"""

from fractions import Fraction
from pathlib import Path
from typing import Self

import av
import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft, rfft

from server.analyzer import decode, filters
from server.analyzer.arrays import Array, Samples

METHOD = "signal processing: harmonic/percussive medians, bands, mid/side; no instrument recognition"
NAMES = ("bass", "drums", "other", "vocals")
FORMATS = {"flac": "flac", "wav": "pcm_s16le"}

_WINDOW, _HOP = 4096, 1024
_MEDIAN = 17  # frames and bins
_CONTEXT = _MEDIAN // 2
_BLOCK_FRAMES = 256
_BASS_BELOW_HZ, _VOICE_BELOW_HZ = 180.0, 8000.0


def separate(path: Path, folder: Path, kind: str = "flac") -> dict[str, Path]:
    """Writes one stereo (or mono) file of `kind` per stem to the folder and returns their paths.

    Memory doesn't depend on the length. Raises decode.Undecodable, and OSError when the disk is full.
    """
    recording = decode.open_recording(path)
    channels = min(len(recording.channels), 2)
    targets = {name: folder / f"{name}.{kind}" for name in NAMES}
    separator = _Separator(channels, recording.rate)
    written = 0
    with _Writers(targets, kind, recording.rate, channels) as writers:
        for block in recording.blocks():
            parts = separator.feed(block[:channels])
            writers.write(parts)
            written += parts.shape[2]
        writers.write(separator.finish()[:, :, : recording.samples_read - written])
    return targets


class _Separator:
    """Takes (channels, n) blocks, returns (stem, channel, n) blocks, some seconds later."""

    def __init__(self, channels: int, rate: int) -> None:
        self._channels = channels
        # The root of a Hann window, applied before and after, sums to 2 at this overlap.
        self._taper = np.sqrt(np.hanning(_WINDOW + 1)[:-1]).astype(np.float32)
        hertz = np.fft.rfftfreq(_WINDOW, 1 / rate)
        self._is_bass = (1 / (1 + (hertz / _BASS_BELOW_HZ) ** 8)).astype(np.float32)
        self._is_voice = (1 / (1 + (hertz / _VOICE_BELOW_HZ) ** 8)).astype(np.float32) * (1 - self._is_bass)
        self._input: Samples = np.zeros((channels, _WINDOW), np.float32)
        self._spectra = np.zeros((channels, _CONTEXT, _WINDOW // 2 + 1), np.complex64)
        self._sum: Samples = np.zeros((len(NAMES), channels, _WINDOW - _HOP), np.float32)
        self._lead_in = _WINDOW

    def feed(self, block: Samples) -> Samples:
        self._input = np.concatenate([self._input, block], axis=1)
        frames = max(0, (self._input.shape[1] - _WINDOW) // _HOP + 1)
        if frames:
            cut = np.lib.stride_tricks.sliding_window_view(self._input, _WINDOW, axis=1)[:, ::_HOP][:, :frames]
            self._spectra = np.concatenate([self._spectra, rfft(cut * self._taper, axis=2)], axis=1)
            self._input = self._input[:, frames * _HOP :]
        done = [np.zeros((len(NAMES), self._channels, 0), np.float32)]
        while self._spectra.shape[1] >= _BLOCK_FRAMES + 2 * _CONTEXT:
            done.append(self._separate())
        joined: Samples = np.concatenate(done, axis=2)
        cut_off = min(self._lead_in, joined.shape[2])
        self._lead_in -= cut_off
        return joined[:, :, cut_off:]

    def finish(self) -> Samples:
        """What is still inside, followed by silence."""
        return self.feed(np.zeros((self._channels, 2 * _WINDOW + (_BLOCK_FRAMES + _CONTEXT) * _HOP), np.float32))

    def _separate(self) -> Samples:
        inner = self._spectra[:, _CONTEXT : _CONTEXT + _BLOCK_FRAMES]
        masks = self._masks(self._spectra[:, : _BLOCK_FRAMES + 2 * _CONTEXT])
        self._spectra = self._spectra[:, _BLOCK_FRAMES:]
        overlapped: Samples = np.zeros((*self._sum.shape[:2], (_BLOCK_FRAMES - 1) * _HOP + _WINDOW), np.float32)
        overlapped[:, :, : self._sum.shape[2]] = self._sum
        for stem, mask in enumerate(masks):
            frames = irfft(inner * mask, _WINDOW, axis=2) * self._taper / 2
            for frame in range(_BLOCK_FRAMES):
                overlapped[stem, :, frame * _HOP : frame * _HOP + _WINDOW] += frames[:, frame]
        self._sum = overlapped[:, :, _BLOCK_FRAMES * _HOP :]
        return overlapped[:, :, : _BLOCK_FRAMES * _HOP]

    def _masks(self, spectra: NDArray[np.complex64]) -> tuple[Array, ...]:
        """A mask (frames, bins) for each of NAMES; at every point they add up to 1."""
        loudness = np.abs(spectra).mean(axis=0)
        along_time = filters.moving_median(loudness, (_MEDIAN, 1))[_CONTEXT:-_CONTEXT]
        along_pitch = filters.moving_median(loudness[_CONTEXT:-_CONTEXT], (1, _MEDIAN))
        sustained = along_time**2 / (along_time**2 + along_pitch**2 + 1e-12)
        inner = spectra[:, _CONTEXT:-_CONTEXT]
        middle = np.abs(inner.mean(axis=0)) ** 2
        sides = np.abs(inner[0] - inner[-1]) ** 2 / 4
        bass = sustained * self._is_bass
        vocals = sustained * self._is_voice * middle / (middle + sides + 1e-12)
        return bass, 1 - sustained, sustained - bass - vocals, vocals


class _Writers:
    """One open file for each stem. A file left by a failure is for the owner of the folder to remove."""

    def __init__(self, targets: dict[str, Path], kind: str, rate: int, channels: int) -> None:
        self._rate, self._layout = rate, "mono" if channels == 1 else "stereo"
        self._written = 0
        self._containers = [av.open(str(path), "w") for path in targets.values()]
        self._streams = [self._stream(container, kind) for container in self._containers]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        for container, stream in zip(self._containers, self._streams, strict=True):
            if kind is None:
                container.mux(stream.encode(None))
            container.close()

    def write(self, parts: Samples) -> None:
        if not parts.shape[2]:
            return
        for part, container, stream in zip(parts, self._containers, self._streams, strict=True):
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(part), format="fltp", layout=self._layout)
            frame.sample_rate, frame.pts, frame.time_base = self._rate, self._written, Fraction(1, self._rate)
            container.mux(stream.encode(frame))
        self._written += parts.shape[2]

    def _stream(self, container: av.container.OutputContainer, kind: str) -> av.AudioStream:
        stream = container.add_stream(FORMATS[kind], rate=self._rate, layout=self._layout)
        assert isinstance(stream, av.AudioStream)
        stream.format = av.AudioFormat("s16")
        return stream
