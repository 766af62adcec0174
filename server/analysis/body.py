"""The JSON body of a callback, read without holding up anybody else, and without keeping stems in memory.

A JSON parser works in one go, and no other thread runs meanwhile: eight megabytes of `[],[],…` take it a second. So
values are counted before they are made. Long texts, which only stems have, go to files as they come in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from server import errors
from server.analysis import wire

_MOST = {b",": 700_000, b":": 50_000, b"[": 20_000, b"{": 20_000}
"""200,000 beats, as many downbeats, and three waveforms as lists have fewer; so many are parsed within some 50 ms."""
_PIECE = 1 << 20
_LONG = 1 << 17  # the longest plane of a waveform has 87,384
_MOST_TEXTS = 50_000
_MARK = "\0"


@dataclass(frozen=True, slots=True)
class Body:
    """`values` as parsed, with a mark in place of each long text; `files` holds those texts."""

    values: Mapping[str, Any]
    files: tuple[Path, ...] = ()

    def file_of(self, value: str) -> Path | None:
        """The file with the text that `value` stands for; None where it is its own text."""
        number = value.removeprefix(_MARK)
        is_mark = number != value and number.isdecimal() and int(number) < len(self.files)
        return self.files[int(number)] if is_mark else None


def parse(content: bytes, files: tuple[Path, ...] = ()) -> Body:
    """Raises `Invalid`."""
    for mark, most in _MOST.items():
        found = 0
        for start in range(0, len(content), _PIECE):
            found += content.count(mark, start, start + _PIECE)
            if found > most:
                raise errors.Invalid.field("body", f"has more than {most} {mark.decode()!r}; no result needs so many")
    try:
        return Body(wire.mapping(orjson.loads(content), "body"), files)
    except orjson.JSONDecodeError as error:
        raise errors.Invalid.field("body", f"isn't valid JSON: {error}") from None


@dataclass(slots=True)
class Sieve:
    """Takes a body in pieces and keeps at most `limit` bytes of it; texts beyond 128 kB go to files in `folder`.

    Of escapes, those may hold `\\/` alone, as base64 does. `feed` and `finish` raise `Invalid`, `TooLarge`, OSError.
    """

    folder: Path
    limit: int
    _rest: bytearray = field(default_factory=bytearray)
    _text: bytearray = field(default_factory=bytearray)
    _texts: int = 0
    _files: list[Path] = field(default_factory=list)
    _file: BinaryIO | None = None
    _is_inside: bool = False
    _is_escaped: bool = False

    def feed(self, piece: bytes) -> None:
        at = 0
        while at < len(piece):
            if self._is_escaped:
                self._add_escaped(piece[at : at + 1])
                at += 1
                continue
            quote = piece.find(b'"', at)
            end = len(piece) if quote < 0 else quote
            escape = piece.find(b"\\", at, end) if self._is_inside else -1
            if escape >= 0:
                self._add(piece[at:escape])
                self._is_escaped = True
                at = escape + 1
                continue
            self._add(piece[at:end])
            if quote >= 0:
                self._turn()
            at = end + 1
        if len(self._rest) + len(self._text) > self.limit:
            raise errors.TooLarge(f"the body has more than {self.limit} bytes beside stems")

    def finish(self) -> Body:
        self.close()
        return parse(bytes(self._rest + self._text), tuple(self._files))

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _add(self, content: bytes) -> None:
        if self._file is not None:
            self._file.write(content)
        elif self._is_inside:
            self._text += content
            if len(self._text) > _LONG:
                self._spill()
        else:
            self._rest += content

    def _add_escaped(self, letter: bytes) -> None:
        self._is_escaped = False
        if self._file is None:
            self._add(b"\\" + letter)
        elif letter == b"/":
            self._add(letter)
        else:
            raise errors.Invalid.field("body", "has an escape in a text of more than 128 kB")

    def _spill(self) -> None:
        text = self._text.replace(b"\\/", b"/")
        if b"\\" in text:
            raise errors.Invalid.field("body", "has an escape in a text of more than 128 kB")
        path = self.folder / str(len(self._files))
        self._file = path.open("xb")
        self._files.append(path)
        self._file.write(text)
        self._text = bytearray()

    def _turn(self) -> None:
        """A quotation mark: a text begins or ends."""
        if self._is_inside:
            self._rest += f"\\u0000{len(self._files) - 1}".encode() if self._file is not None else self._text
            self._text = bytearray()
            self.close()
            self._texts += 1
            if self._texts > _MOST_TEXTS:
                raise errors.Invalid.field("body", f"has more than {_MOST_TEXTS} texts; no result needs so many")
        self._rest += b'"'
        self._is_inside = not self._is_inside
