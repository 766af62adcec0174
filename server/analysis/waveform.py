"""Waveforms: a picture of the sound as six planes of bytes, for drawing."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import xxhash

from server import errors
from server.analysis import wire

BANDS = ("low", "mid", "high")
MEASURES = ("amplitude", "intensity")
PLANES = tuple((band, measure) for band in BANDS for measure in MEASURES)
"""In the order in which the bytes of a waveform lie: low amplitude, low intensity, mid amplitude, …"""
ZOOM_LEVELS = 3
_MOST_PIXELS = 65_536


@dataclass(frozen=True, slots=True)
class Waveform:
    """`planes` holds `num_pixels` bytes for each of `PLANES`; `samples_per_pixel` counts samples of the recording."""

    zoom_level: int
    num_pixels: int
    samples_per_pixel: float
    planes: bytes

    @property
    def etag(self) -> str:
        head = f"{self.zoom_level} {self.num_pixels} {self.samples_per_pixel} ".encode()
        return f'"{xxhash.xxh3_64_hexdigest(head + self.planes)}"'

    def plane(self, band: str, measure: str) -> bytes:
        start = PLANES.index((band, measure)) * self.num_pixels
        return self.planes[start : start + self.num_pixels]

    def as_json(self) -> dict[str, Any]:
        """The waveform as the API shows it, all values 0 to 255."""
        return {
            "zoom_level": self.zoom_level,
            "samples_per_pixel": self.samples_per_pixel,
            "num_pixels": self.num_pixels,
            "bands": {
                band: {measure: list(self.plane(band, measure)) for measure in MEASURES} for band in BANDS
            },
        }  # fmt: skip


def read(data: Mapping[str, Any]) -> Waveform:
    """A waveform from the wire. Each plane is a base64 of bytes, or a list of numbers.

    Lists hold bytes (0 to 255), or shares (0 to 1) when none of them exceeds 1 and any is written with a fraction.
    Raises `Invalid`.
    """
    zoom = wire.whole(data, "zoom_level", 0, ZOOM_LEVELS - 1)
    pixels = wire.whole(data, "num_pixels", 1, _MOST_PIXELS)
    samples = wire.number(data, "samples_per_pixel", 0, 1e9)
    if zoom is None or pixels is None or samples is None:
        raise errors.Invalid.field("waveforms", "each needs zoom_level, num_pixels and samples_per_pixel")
    planes = [_plane(data, f"{band}_freq_{measure}", pixels) for band, measure in PLANES]
    lists = [plane for plane in planes if not isinstance(plane, bytes)]
    scale = 255.0 if _are_shares(lists) else 1.0
    content = b"".join(plane if isinstance(plane, bytes) else _to_bytes(plane, scale) for plane in planes)
    return Waveform(zoom, pixels, samples, content)


def _plane(data: Mapping[str, Any], name: str, pixels: int) -> bytes | Sequence[float]:
    value = data.get(name)
    if isinstance(value, str):
        try:
            content = base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            raise errors.Invalid.field(name, "isn't base64") from None
        size = len(content)
    elif isinstance(value, list):
        if not all(type(item) in (int, float) and 0 <= item <= 255 for item in value):
            raise errors.Invalid.field(name, "must hold numbers from 0 to 255")
        size = len(value)
    else:
        raise errors.Invalid.field(name, "must be a list of numbers, or base64")
    if size != pixels:
        raise errors.Invalid.field(name, f"has {size} values where num_pixels is {pixels}")
    return content if isinstance(value, str) else value


def _are_shares(planes: Sequence[Sequence[float]]) -> bool:
    has_fraction = any(isinstance(value, float) for plane in planes for value in plane)
    return has_fraction and all(value <= 1 for plane in planes for value in plane)


def _to_bytes(values: Sequence[float], scale: float) -> bytes:
    return bytes(round(value * scale) for value in values)
