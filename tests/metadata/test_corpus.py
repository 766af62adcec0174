"""Real files against the values that independent readers' tests state, and the deviations that the docs own up to."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from server.metadata.model import Metadata
from server.metadata.read import read_file

from . import corpus

DOCS = Path(__file__).resolve().parents[2] / "docs" / "metadata.md"

FIELDS = {
    "title": "title",
    "artist": "artist",
    "album": "album",
    "albumartist": "album_artist",
    "genre": "genre",
    "year": "year",
    "track": "track_number",
    "track_total": "track_total",
    "disc": "disc_number",
    "disc_total": "disc_total",
    "duration_s": "duration_seconds",
    "sample_rate": "sample_rate",
    "channels": "channels",
    "bitrate": "bit_rate",
}
CONTRACT_KINDS = re.findall(
    r"\w+",
    "mp3 mp2 mp1 flac m4a mp4 m4v aac ogg oga opus spx wav aiff aif aifc afc "
    "wma asf ape wv tta mpc dsf dff mka mkv webm x",
)
REQUIRED_SHARE = 0.97


class Value(NamedTuple):
    """One stated value and what we read instead."""

    file: str
    field: str
    stated: Any
    found: Any
    is_right: bool


@cache
def values() -> list[Value]:
    found = []
    metadata: dict[str, Metadata] = {}
    for entry in corpus.entries("tagged"):
        path = corpus.ROOT / entry["file"]
        read = metadata.setdefault(path.name, read_file(path))
        for field, stated in entry["expected"].items():
            ours = getattr(read, FIELDS[field])
            found.append(Value(path.name, field, stated, ours, is_right(field, stated, ours, entry["tolerance"])))
    return found


def is_right(field: str, stated: Any, ours: Any, tolerance: dict[str, float]) -> bool:
    if not isinstance(stated, int | float):
        return bool(ours == stated)
    allowed = max(tolerance.get(field, 0), {"duration_s": 0.001, "bitrate": 1}.get(field, 0))
    return ours is not None and abs(ours - stated) <= allowed + 1e-9


def documented() -> set[tuple[str, str]]:
    """The (file, field) pairs of the deviations table."""
    _, _, table = DOCS.read_text().partition("## Deviations")
    rows = re.findall(r"^\| `(\S+)` \| (`.+?`) \| \S", table, re.MULTILINE)
    return {(file, field) for file, fields in rows for field in re.findall(r"`(\w+)`", fields)}


@corpus.needs_corpus
def test_nearly_all_stated_values_are_read_right() -> None:
    of_contract = [value for value in values() if value.file.rpartition(".")[2] in CONTRACT_KINDS]
    assert len(of_contract) > 1500
    assert sum(value.is_right for value in of_contract) / len(of_contract) >= REQUIRED_SHARE


@corpus.needs_corpus
def test_every_deviation_is_documented_with_its_reason_and_no_other_is() -> None:
    wrong = {(value.file, value.field) for value in values() if not value.is_right}
    assert wrong == documented()
