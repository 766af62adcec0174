"""Waveform pictures: three bands at three zoom levels, one byte a value."""

import math
from base64 import b64encode
from dataclasses import dataclass

import numpy as np

from server.analyzer import envelope
from server.analyzer.arrays import Numbers

PIXELS = (1000, 4000, 16000)
"""Of zoom levels 0, 1 and 2."""
FLOOR_DB = -60.0
"""The RMS level in dBFS that an intensity of 0 stands for; 255 is full scale."""


@dataclass(frozen=True)
class Waveform:
    """`amplitude` and `intensity`, each uint8 (3, pixels), low band first.

    Amplitude is the largest absolute sample of a pixel, linear, 255 = full scale: the outline. Intensity is its RMS
    level on a decibel scale, 0 = -60 dBFS or less, 255 = 0 dBFS: the brightness, which still shows quiet hats.
    """

    zoom_level: int
    samples_per_pixel: int
    amplitude: Numbers
    intensity: Numbers

    def payload(self) -> dict[str, object]:
        fields: dict[str, object] = {
            "zoom_level": self.zoom_level,
            "num_pixels": self.amplitude.shape[1],
            "samples_per_pixel": self.samples_per_pixel,
        }
        for band, name in enumerate(envelope.BANDS):
            fields[f"{name}_freq_amplitude"] = b64encode(self.amplitude[band].tobytes()).decode("ascii")
            fields[f"{name}_freq_intensity"] = b64encode(self.intensity[band].tobytes()).decode("ascii")
        return fields


def draw(heard: envelope.Envelope, samples: int, rate: int) -> list[Waveform]:
    """All zoom levels of a recording of `samples` samples at `rate` Hz.

    `samples_per_pixel` counts the recording's own samples and is rounded up to a whole number, so that pixel p
    begins at exactly p * samples_per_pixel; the few pixels past the end stay 0.
    """
    return [_zoomed(heard, zoom, pixels, samples, rate) for zoom, pixels in enumerate(PIXELS)]


def _zoomed(heard: envelope.Envelope, zoom: int, pixels: int, samples: int, rate: int) -> Waveform:
    samples_per_pixel = max(1, math.ceil(samples / pixels))
    amplitude = np.zeros((3, pixels), np.uint8)
    intensity = np.zeros((3, pixels), np.uint8)
    used = min(pixels, math.ceil(samples / samples_per_pixel)) if heard.frames else 0
    if used:
        edges = np.arange(used) * samples_per_pixel * (envelope.FRAMES_PER_SECOND / rate)
        first = np.minimum(edges.astype(np.int64), heard.frames - 1)
        counts = np.maximum(np.diff(first, append=heard.frames), 1)
        peak = np.maximum.reduceat(heard.peak, first, axis=1)
        power = np.add.reduceat(heard.power, first, axis=1) / counts
        level = 10 * np.log10(np.maximum(power, 1e-12))
        amplitude[:, :used] = np.rint(255 * np.minimum(peak, 1))
        intensity[:, :used] = np.rint(255 * np.clip(1 - level / FLOOR_DB, 0, 1))
    return Waveform(zoom, samples_per_pixel, amplitude, intensity)
