"""Stars (0-5) out of the scales that players use."""

from __future__ import annotations

import re

STARS = 5

_NUMBER = re.compile(r"\d{1,3}(?:[.,]\d{1,6})?")
# Windows Media Player, MediaMonkey, Winamp, MusicBee and others write 1, 64, 128, 196, 255 (with halves between);
# the borders lie halfway. Source: the table that Kid3 and Mp3tag document.
_POPM_BORDERS = (0, 31, 95, 159, 223)
# Windows Media writes 1, 25, 50, 75, 99 to WM/SharedUserRating.
_WINDOWS_BORDERS = (0, 12, 37, 62, 86)
# Players that write the stars linearly, 51 apart, to ID3's byte.
_LINEAR_PLAYERS = ("traktor@native-instruments.de", "quodlibet@lists.sacredchao.net")


def from_popularimeter(email: str, byte: int) -> int | None:
    """ID3v2 POPM. 0 is "unknown". Multiples of 51 are a linear scale: no other player writes those values."""
    if not 0 < byte <= 255:
        return None
    if byte % 51 == 0 or email.lower() in _LINEAR_PLAYERS:
        return max(1, _round(byte / 51))
    return sum(byte > border for border in _POPM_BORDERS)


def from_windows(value: str) -> int | None:
    """`WM/SharedUserRating`, 0-99; 0 is "unknown"."""
    if not value.isdecimal() or not 0 < int(value) <= 100:
        return None
    return sum(int(value) > border for border in _WINDOWS_BORDERS)


def from_fraction(text: str) -> int | None:
    """`FMPS_RATING` and Quod Libet's `RATING:who`: 0.0-1.0."""
    number = _parse(text)
    return _round(number * STARS) if number is not None and number <= 1 else None


def from_free_text(text: str) -> int | None:
    """`RATING` in Vorbis, APEv2, MP4 and Matroska, where every player has its own scale.

    `0.8` is a fraction, `4` stars, `8` of ten, `80` percent, `204` ID3's byte.
    """
    number = _parse(text)
    if number is None:
        return None
    if number <= 1 and not text.strip().isdecimal():
        return _round(number * STARS)
    for scale in (5, 10, 100, 255):
        if number <= scale:
            return _round(number / scale * STARS)
    return None


def from_percent(text: str) -> int | None:
    """MP4 `rate`: 0-100."""
    number = _parse(text)
    return _round(number / 20) if number is not None and number <= 100 else None


def _parse(text: str) -> float | None:
    text = text.strip()
    return float(text.replace(",", ".")) if _NUMBER.fullmatch(text) else None


def _round(stars: float) -> int:
    return int(stars + 0.5)  # half a star is rounded up; round() would go to the even one
