"""Loudness corrections stored in tags: ReplayGain 2.0 and its Opus variant."""

from __future__ import annotations

import math
import re

_GAIN = re.compile(r"([+-]?\d{1,4}(?:[.,]\d{1,12})?)\s*(?:dB|LU)?", re.IGNORECASE)
_PEAK = re.compile(r"\+?(\d{1,6}(?:[.,]\d{1,15})?(?:e[+-]?\d{1,2})?)", re.IGNORECASE)
_Q7_8 = re.compile(r"[+-]?\d{1,6}")

LOUDEST = 100.0  # dB; beyond it the tag is damaged
# ReplayGain 2.0 aims at -18 LUFS, RFC 7845 (Opus) at -23.
_OPUS_TO_REPLAYGAIN = 5.0


def parse_gain(text: str) -> float | None:
    """`-7.89 dB` in decibels."""
    match = _GAIN.fullmatch(text.strip())
    if match is None:
        return None
    gain = float(match[1].replace(",", "."))
    return gain if abs(gain) <= LOUDEST else None


def parse_peak(text: str) -> float | None:
    """A sample peak, 1.0 being full scale."""
    match = _PEAK.fullmatch(text.strip())
    if match is None:
        return None
    peak = float(match[1].replace(",", "."))
    return peak if math.isfinite(peak) and peak <= LOUDEST else None


def parse_opus_gain(text: str) -> float | None:
    """`R128_TRACK_GAIN` (RFC 7845, 5.2.1: Q7.8 fixed point) as a ReplayGain in decibels."""
    if _Q7_8.fullmatch(text.strip()) is None:
        return None
    gain = int(text) / 256 + _OPUS_TO_REPLAYGAIN
    return gain if abs(gain) <= LOUDEST + _OPUS_TO_REPLAYGAIN + 28 else None
