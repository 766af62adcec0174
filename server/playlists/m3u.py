"""M3U and M3U8 as players write them: a path on each line, `#EXTINF:seconds,Artist - Title` before it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes, urlsplit

_EXTINF = re.compile(r"#EXTINF:\s*(-?\d+(?:\.\d+)?)?[^,]*?(?:,(.*))?$", re.IGNORECASE)
_NAME = re.compile(r"#PLAYLIST:\s*(.+)$", re.IGNORECASE)
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_DRIVE = re.compile(r"[A-Za-z]:[\\/]")
_WINDOWS = re.compile(rb"[\x80-\x9f]")
_MARKS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))


@dataclass(frozen=True, slots=True)
class Line:
    """One track of a file: `number` of its line (from 1), `text` as it stands there, and what `#EXTINF` says of it.

    `path` has slashes between folders, whatever the file had; None when the line names no file.
    """

    number: int
    text: str
    path: str | None
    is_absolute: bool
    duration_seconds: float | None = None
    artist: str | None = None
    title: str | None = None


@dataclass(frozen=True, slots=True)
class M3u:
    """`encoding` is the one the file was read in."""

    name: str | None
    encoding: str
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Item:
    """A track to be written: its path as bytes, as the file system has it; None when it has no file any more."""

    path: bytes | None
    title: str
    artist: str | None
    duration_seconds: float | None


def decode(content: bytes) -> tuple[str, str]:
    """The text and its encoding: by its byte order mark, else UTF-8, else Latin-1, which reads anything.

    What would be control characters in Latin-1 are quotes and dashes where Windows wrote the file. Where some lines
    are UTF-8 and others aren't, paths stand in the bytes that open their files: those are read as they are shown.
    """
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            return content[len(mark) :].decode(encoding, "replace"), encoding
    telling = [line for line in content.splitlines() if not line.isascii()]
    if not telling or any(map(_is_utf8, telling)):
        return content.decode("utf-8", "replace"), "utf-8"
    if _WINDOWS.search(content):
        try:
            return content.decode("windows-1252"), "windows-1252"
        except UnicodeDecodeError:
            pass
    return content.decode("latin-1"), "latin-1"


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def read(content: bytes) -> M3u:
    """Any M3U or M3U8 file. Every line that isn't empty or a comment is a track; nothing makes it fail."""
    text, encoding = decode(content)
    name: str | None = None
    lines: list[Line] = []
    facts: tuple[float | None, str | None, str | None] = (None, None, None)
    # Only the ends of lines that players write; `splitlines` would split titles at rarer ones.
    for number, raw in enumerate(re.split(r"\r\n|\n|\r", text), 1):
        line = raw.strip(" \t\0")
        if not line:
            continue
        if line.startswith("#"):
            if found := _EXTINF.match(line):
                facts = _facts(found[1], found[2])
            elif found := _NAME.match(line):
                name = found[1].strip()
            continue
        path, is_absolute = _path(line)
        lines.append(Line(number, line, path, is_absolute, *facts))
        facts = (None, None, None)
    return M3u(name, encoding, tuple(lines))


def _facts(seconds: str | None, shown: str | None) -> tuple[float | None, str | None, str | None]:
    duration = float(seconds) if seconds else -1
    artist, dash, title = (shown or "").strip().partition(" - ")
    if not dash:
        artist, title = "", artist
    return (duration if duration > 0 else None), artist.strip() or None, title.strip() or None


def _path(line: str) -> tuple[str | None, bool]:
    """A path with slashes, and whether it is absolute; drive letters and host names are left out."""
    if line.lower().startswith("file:"):
        try:
            path = unquote_to_bytes(urlsplit(line).path).decode("utf-8", "replace")
        except ValueError:
            return None, False
        return re.sub(r"^/[A-Za-z]:", "", path).replace("\\", "/"), True
    if _URL.match(line):
        return None, False
    if _DRIVE.match(line):
        return line[2:].replace("\\", "/"), True
    if line.startswith("\\\\"):
        return line.replace("\\", "/").lstrip("/").partition("/")[2], True
    if line.startswith("/"):
        return line, True
    # A backslash is a character like any other where folders are told apart by slashes.
    return (line if "/" in line else line.replace("\\", "/")), False


def write(name: str, items: Iterable[Item]) -> tuple[bytes, int]:
    """An extended M3U, its text in UTF-8 and each path in the bytes that open the file; and how many were left out.

    What has no file, or a line break in its path, which the format can't say, stays as a comment.
    """
    parts = [b"#EXTM3U\n", f"#PLAYLIST:{_one_line(name)}\n".encode()]
    omitted = 0
    for item in items:
        shown = _one_line(f"{item.artist} - {item.title}" if item.artist else item.title)
        if item.path is None or b"\n" in item.path or b"\r" in item.path:
            omitted += 1
            parts.append(f"# left out, no path can be given: {shown}\n".encode())
            continue
        seconds = -1 if item.duration_seconds is None else round(item.duration_seconds)
        parts.append(f"#EXTINF:{seconds},{shown}\n".encode())
        # A file name that begins like a comment, with a space, or like a drive or a URL would be misread.
        is_odd = item.path[:1] in (b"#", b" ", b"\t") or b":" in item.path.split(b"/", 1)[0]
        guard = b"./" if is_odd else b""
        parts.append(guard + item.path + b"\n")
    return b"".join(parts), omitted


def _one_line(text: str) -> str:
    return " ".join(text.split())
