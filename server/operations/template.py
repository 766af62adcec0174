"""Names made from metadata: `{album_artist|artist}/{album}/{track:02} - {title}.{ext}`."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from server import errors, paths

# Name in a template → column of a track.
FIELDS = {
    "title": "title",
    "artist": "artist",
    "album": "album",
    "album_artist": "album_artist",
    "genre": "genre",
    "year": "year",
    "date": "date",
    "track": "track_number",
    "track_total": "track_total",
    "disc": "disc_number",
    "disc_total": "disc_total",
    "label": "label",
    "composer": "composer",
    "remixer": "remixer",
    "grouping": "grouping",
    "bpm": "bpm",
    "rating": "rating",
    "ext": "",
    "file_name": "",
}
_TEXTS = {"title", "artist", "album", "album_artist", "genre", "label", "composer", "remixer", "grouping"}
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_WIDTH = re.compile(r"0?[1-9]")
_EMPTY = "\x00"


@dataclass(frozen=True, slots=True)
class Placeholder:
    """Fields of which the first that has a value counts; `width` pads a number with zeros."""

    fields: tuple[str, ...]
    width: int


@dataclass(frozen=True, slots=True)
class Template:
    """For each component of the path, its texts and placeholders in order."""

    components: tuple[tuple[str | Placeholder, ...], ...]

    def path(self, row: Mapping[str, Any]) -> bytes:
        """The relative path that a track's row makes; every component is a safe name of at most 255 bytes."""
        names = [_component(parts, row) for parts in self.components]
        extension = os.path.splitext(row["file_name"])[1]
        *folders, name = names
        if extension and name.lower().endswith(extension.lower()):
            name = name[: -len(extension)]
        shortened = _cut(paths.safe_name(name), paths.MAX_NAME_BYTES - len(os.fsencode(extension)))
        parts = [*(_cut(paths.safe_name(folder), paths.MAX_NAME_BYTES) for folder in folders), shortened + extension]
        return os.fsencode("/".join(parts))


def parse(text: str) -> Template:
    """Raises `Invalid` for a field that isn't known, a stray brace, or a template that leads out of the directory."""
    paths.inside("template", _PLACEHOLDER.sub("x", text))
    components = []
    for component in text.split("/"):
        parts: list[str | Placeholder] = []
        end = 0
        for match in _PLACEHOLDER.finditer(component):
            parts += [component[end : match.start()], _placeholder(match[1])]
            end = match.end()
        parts.append(component[end:])
        literal = "".join(part for part in parts if isinstance(part, str))
        if "{" in literal or "}" in literal:
            raise errors.Invalid.field("template", "has a brace without its partner")
        if "\\" in literal:
            raise errors.Invalid.field("template", "separates folders by /")
        components.append(tuple(part for part in parts if part != ""))
    return Template(tuple(components))


def _placeholder(text: str) -> Placeholder:
    names, _, width = text.partition(":")
    fields = tuple(name.strip() for name in names.split("|"))
    for name in fields:
        if name not in FIELDS:
            raise errors.Invalid.field("template", f"{name!r} isn't one of {', '.join(sorted(FIELDS))}")
    if width and not _WIDTH.fullmatch(width):
        raise errors.Invalid.field("template", f"{width!r} isn't a width like 02")
    return Placeholder(fields, int(width or 0))


def _component(parts: tuple[str | Placeholder, ...], row: Mapping[str, Any]) -> str:
    text = "".join(part if isinstance(part, str) else _value(part, row) for part in parts)
    # A number that isn't there takes the separator with it: "{track} - {title}" becomes the title alone.
    text = re.sub(rf"{_EMPTY}[\s\-_.,]*", "", text)
    return text.strip()


def _value(placeholder: Placeholder, row: Mapping[str, Any]) -> str:
    for name in placeholder.fields:
        value = _field(name, row)
        if value not in (None, ""):
            if isinstance(value, float):
                value = round(value)
            return str(value).zfill(placeholder.width)
    last = placeholder.fields[-1]
    return f"Unknown {last.replace('_', ' ').title()}" if last in _TEXTS else _EMPTY


def _field(name: str, row: Mapping[str, Any]) -> Any:
    stem, extension = os.path.splitext(row["file_name"])
    if name == "ext":
        return extension.removeprefix(".")
    return stem if name == "file_name" else row[FIELDS[name]]


def _cut(name: str, limit: int) -> str:
    """At most `limit` bytes, at the border of a letter."""
    raw = name.encode()
    return name if len(raw) <= limit else raw[:limit].decode("utf-8", "ignore").rstrip(" .")
