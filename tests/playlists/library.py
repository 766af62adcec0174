"""Tracks that stand in the database as a scan would have put them there, without any files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from server import ids
from server.app import App
from server.hashing.container import Container
from server.metadata.model import Metadata
from server.tracks import model
from server.tracks.model import FileFacts, HashState, Location
from server.tracks.resource import serialise

ROOT = b"/music"
NOW = 1_700_000_000_000
# Columns that a scan leaves alone, and a test may set.
LATER = {
    "first_beat_offset": None, "first_phrase_beat_no": None, "audible_start_time": None, "audible_end_time": None,
    "energy": None, "loudness": None, "danceability": None, "valence": None, "arousal": None, "acousticness": None,
    "instrumentalness": None, "is_analyzed": 0, "date_analyzed": None, "analysis_stages": "[]",
}  # fmt: skip


def row_of(number: int, directory: str, **values: Any) -> dict[str, Any]:
    """A whole row. `values` are those of `Metadata`, or columns of `tracks`; `path` in the library directory."""
    known = {name for name in Metadata.__dataclass_fields__ if name in values}
    tags = {"title": f"Title {number}", "container": Container.MPEG, **{name: values[name] for name in known}}
    path = values.get("path", f"folder/track {number:05d}.mp3")
    facts = FileFacts(values.get("file_size", 1000 + number), values.get("file_mtime_ns", 0), number, 1)
    read = model.file_values(Metadata(**tags), facts, values.get("audio_hash"), HashState.DONE)
    row = {**model.new_values(ids.new_id(), directory, path.encode(), read, NOW + number), **LATER}
    others = {name: value for name, value in values.items() if name not in known and name not in ("path", "root")}
    return model.complete({**row, **others})


async def fill(
    app: App, tracks: Sequence[dict[str, Any]], directory: str | None = None, root: bytes = ROOT
) -> list[str]:
    """Take tracks into the library; returns their ids in the same order."""
    directory = directory or ids.new_id()
    async with app.uow() as tx:
        await app.tracks.put_location(tx, Location(directory, root))
        rows = [row_of(number, directory, **values) for number, values in enumerate(tracks)]
        await app.tracks.add(tx, rows, [serialise(row, root) for row in rows])
    return [row["id"] for row in rows]
