"""What a file's name says about the recording, for files whose tags don't."""

from __future__ import annotations

import re
from dataclasses import dataclass

from server.metadata import text


@dataclass(frozen=True, slots=True)
class Guess:
    """What could be read out of a name. Only `title` is always there."""

    title: str
    artist: str | None = None
    album: str | None = None
    track_number: int | None = None
    disc_number: int | None = None


_NAMELESS = "?"
_EXTENSION = re.compile(r"(?<=.)\.[A-Za-z0-9]{1,9}$")
_DASH = re.compile(r"\s+[-–—]+\s+")
# Where there is no dash between blanks: one with a blank on one side, or a long one.
_LOOSE_DASH = re.compile(r"\s+[-–—]+(?=\S)|(?<=\S)[-–—]+\s+|(?<=\S)[–—]+(?=\S)")
_HYPHEN = re.compile(r"\s*-\s*")
_NUMBER = re.compile(r"\d{1,3}")

# Each form of a leading position, tried in order.
_POSITIONS = (
    re.compile(r"(?:cd|disc|disk)?\s?(?P<disc>[1-9])[-.](?P<track>\d{2})(?:\s*[-–—._)\]:]+\s*|\s+)(?=\S)", re.I),
    re.compile(
        r"(?:cd|disc|disk)\s?(?P<disc>[1-9])\s*[-–—.]+\s*(?P<track>\d{2})(?:\s*[-–—._)\]:]+\s*|\s+)(?=\S)", re.I
    ),
    re.compile(r"[\[(](?P<track>\d{1,3})[\])]\s*[-–—._:]*\s*(?=\S)"),
    re.compile(r"#(?P<track>\d{1,3})\s+(?=\S)"),
    re.compile(r"(?:track|no\.?|#)\s?(?P<track>\d{1,3})\s*[-–—._)\]:]+\s*(?=\S)", re.I),
    re.compile(r"(?P<track>\d{1,3})\s*(?:[-–—]+\s+|[)\]:]+\s*|\.+\s*(?=\D))(?=\S)"),
    re.compile(r"(?P<track>\d{2,3})[-–—](?=[^\d\s])"),
    re.compile(r"(?P<track>0\d{1,2})\s+(?=\S)"),
    re.compile(r"(?P<track>1\d|20)\s+(?=\S)"),  # "12 Title", but not "2 Unlimited" or "50 Cent - In Da Club"
    re.compile(r"(?P<track>[2-4]\d)\s+(?=\S)(?!.*\s[-–—]\s)"),
    re.compile(r"[A-F][1-9](?:\s*[-–—.)\]:]+\s*|\s+)(?=\S)"),  # side and band of a record: no track number
)


def guess(name: str) -> Guess:
    """Reads `01 - Artist - Title (Mix).mp3` and its usual variants. `name` is a file name without folders."""
    stem = _EXTENSION.sub("", text.from_file_name(name)).strip()
    words, scene = _spaced(stem)
    disc, track, rest = _position(words)
    rest = rest.strip(" -–—")
    dash = _HYPHEN if scene else _DASH if _DASH.search(rest) else _LOOSE_DASH
    if not rest:
        return Guess(title=text.clean(words) or _NAMELESS, track_number=track, disc_number=disc)
    parts = dash.split(rest)
    for place in range(1, len(parts) - 1):  # "Artist - Album - 03 - Title" and "Artist - 03 - Title"
        if track is None and _NUMBER.fullmatch(parts[place]):
            album = " - ".join(parts[1:place]) or None
            return _composed(parts[0], " - ".join(parts[place + 1 :]), album, int(parts[place]), disc)
    artist, *title = dash.split(rest, maxsplit=1)
    return _composed(artist if title else None, title[0] if title else artist, None, track, disc)


def _spaced(stem: str) -> tuple[str, bool]:
    """The stem with blanks for underscores, and whether bare hyphens separate its parts (`01-artist-the_title`)."""
    if " " in stem:
        return stem, False
    if "_-_" in stem:
        return stem.replace("_", " "), False
    if "_" in stem:
        return stem.replace("_", " "), "-" in stem
    return stem, re.match(r"(?:(?:cd|disc|disk)?[1-9]-)?\d{2,3}-[^-]+-", stem, re.I) is not None


def _position(words: str) -> tuple[int | None, int | None, str]:
    """(disc, track, what follows). A name that is nothing but a number is a title."""
    for form in _POSITIONS:
        if match := form.match(words):
            groups = match.groupdict()
            disc, track = groups.get("disc"), groups.get("track")
            return (int(disc) if disc else None), (int(track) or None if track else None), words[match.end() :]
    return None, None, words


def _composed(artist: str | None, title: str, album: str | None, track: int | None, disc: int | None) -> Guess:
    return Guess(
        title=text.clean(title) or _NAMELESS,
        artist=text.clean(artist) if artist else None,
        album=text.clean(album) if album else None,
        track_number=track or None,
        disc_number=disc,
    )
