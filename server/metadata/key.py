"""Musical keys and the four ways DJs write them: `Am`, `A minor`, Camelot `8A`, Open Key `1m`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Self

MINOR, MAJOR = 0, 1

# Spelled as Mixed In Key and the decks spell them: one accidental at most, flats except for F sharp.
_MAJOR_NAMES = ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
_MINOR_NAMES = ("Cm", "Dbm", "Dm", "Ebm", "Em", "Fm", "F#m", "Gm", "Abm", "Am", "Bbm", "Bm")
_NATURALS = {"c": 0, "d": 2, "e": 4, "f": 5, "g": 7, "a": 9, "b": 11, "h": 11}
_CAMELOT_MODES = {"a": MINOR, "b": MAJOR}
_OPEN_KEY_MODES = {"m": MINOR, "d": MAJOR}

_WHEEL = re.compile(r"(?:key\s*)?(0?[1-9]|1[0-2])\s*([abmd])", re.IGNORECASE)
_NAMED = re.compile(
    r"([a-h])"
    r"(#|b|is|es|s|\s*sharp|\s*flat)?"
    r"[\s-]*(m|min|minor|moll|maj|major|dur)?\.?",
    re.IGNORECASE,
)
_GERMAN_ONLY = {"is", "es", "s"}
_MODE_WORDS = {"min": MINOR, "minor": MINOR, "moll": MINOR, "maj": MAJOR, "major": MAJOR, "dur": MAJOR}
_ACCIDENTALS = {"#": 1, "sharp": 1, "is": 1, "b": -1, "flat": -1, "es": -1, "s": -1}
_PLAIN = str.maketrans({"♯": "#", "♭": "b", "♮": "", "＃": "#"})
_SEPARATORS = re.compile(r"[/,;|\x00]")


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """A key: `tonic` in semitones above C (0-11) and `mode` (0 minor, 1 major)."""

    tonic: int
    mode: int

    def __post_init__(self) -> None:
        if not 0 <= self.tonic <= 11:
            raise ValueError(f"tonic must be 0 to 11, not {self.tonic}")
        if self.mode not in (MINOR, MAJOR):
            raise ValueError(f"mode must be 0 (minor) or 1 (major), not {self.mode}")

    @property
    def name(self) -> str:
        """`Am`, `F#`, `Bbm`."""
        return (_MAJOR_NAMES if self.mode == MAJOR else _MINOR_NAMES)[self.tonic]

    @property
    def wheel_number(self) -> int:
        """The hour on the Camelot wheel, 1-12: one step is a fifth, and relative keys share it (C and Am are 8)."""
        relative_major = self.tonic if self.mode == MAJOR else self.tonic + 3
        return (relative_major * 7 + 7) % 12 + 1

    @property
    def camelot(self) -> str:
        """`8A` for A minor, `8B` for C major."""
        return f"{self.wheel_number}{'AB'[self.mode]}"

    @property
    def open_key(self) -> str:
        """`1m` for A minor, `1d` for C major: the Camelot wheel turned by five hours."""
        return f"{(self.wheel_number + 4) % 12 + 1}{'md'[self.mode]}"

    @classmethod
    def on_wheel(cls, number: int, mode: int) -> Self:
        """The key at an hour of the Camelot wheel (1-12). Raises ValueError outside of it."""
        if not 1 <= number <= 12:
            raise ValueError(f"the Camelot wheel has the hours 1 to 12, not {number}")
        relative_major = (number - 8) * 7 % 12
        return cls(relative_major if mode == MAJOR else (relative_major - 3) % 12, mode)

    def neighbours(self) -> tuple[Key, ...]:
        """The keys that mix harmonically: this one, one hour either way, and the relative key."""
        return (
            self,
            Key.on_wheel((self.wheel_number - 2) % 12 + 1, self.mode),
            Key.on_wheel(self.wheel_number % 12 + 1, self.mode),
            Key.on_wheel(self.wheel_number, 1 - self.mode),
        )


@lru_cache(maxsize=1024)  # a library has few distinct ones
def parse(text: str) -> Key | None:
    """The key that a tag's text means, or None.

    Of several (`Am/Em`) the first counts. A lone `M` is major and `m` minor; otherwise case doesn't matter.
    German names (`fis-moll`, `Es dur`, `Hm`) are read where they can't be mistaken; `B` is always B natural.
    """
    first = _SEPARATORS.split(text.translate(_PLAIN), maxsplit=1)[0].strip()
    if wheel := _WHEEL.fullmatch(first):
        number, letter = int(wheel[1]), wheel[2].lower()
        if letter in _CAMELOT_MODES:
            return Key.on_wheel(number, _CAMELOT_MODES[letter])
        return Key.on_wheel((number + 6) % 12 + 1, _OPEN_KEY_MODES[letter])
    if named := _NAMED.fullmatch(first):
        return _from_name(named[1].lower(), (named[2] or "").strip().lower(), named[3] or "")
    return None


def _from_name(letter: str, accidental: str, mode_word: str) -> Key | None:
    mode = MINOR if mode_word == "m" else _MODE_WORDS.get(mode_word.lower(), MAJOR)
    if accidental in _GERMAN_ONLY and mode_word.lower() not in ("moll", "dur"):
        return None
    return Key((_NATURALS[letter] + _ACCIDENTALS.get(accidental, 0)) % 12, mode)


def compatible(camelot: str) -> tuple[str, ...]:
    """The Camelot codes that mix harmonically with one of them, itself first: `8A` → `8A 7A 9A 8B`.

    Raises ValueError when the text is no key.
    """
    key = parse(camelot)
    if key is None:
        raise ValueError(f"not a key: {camelot!r}")
    return tuple(neighbour.camelot for neighbour in key.neighbours())
