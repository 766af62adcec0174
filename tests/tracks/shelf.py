"""Tracks put into a running server as a scan would put them, but without files: quick, and exact in every value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from server import ids
from server.hashing.container import Container
from server.metadata.key import Key
from server.metadata.key import parse as parse_key
from server.metadata.model import Metadata
from server.tracks.model import FileFacts, HashState, Location, complete, file_values, new_values
from server.tracks.resource import serialise
from tests.support.application import Running

ROOT = b"/music"
ADDED = 1_700_000_000_000
# What a scan leaves to the database's defaults; named here, so that all rows of a batch have the same columns.
UNANALYSED = {"is_analyzed": 0, **dict.fromkeys(("energy", "danceability", "valence", "loudness"))}


@dataclass(slots=True)
class Shelf:
    """A library directory of a running server. `put` adds tracks to it and remembers their ids by title."""

    mismo: Running
    directory: str = field(default_factory=ids.new_id)
    ids: dict[str, str] = field(default_factory=dict)
    _count: int = 0

    async def open(self) -> None:
        async with self.mismo.app.uow() as tx:
            await self.mismo.app.tracks.put_location(tx, Location(self.directory, ROOT))

    async def put(self, *specs: Mapping[str, Any]) -> list[str]:
        """Add tracks. A spec's `path`, `key` and `row` (further columns) are its own; the rest is `Metadata`."""
        rows = [self._row(dict(spec)) for spec in specs]
        async with self.mismo.app.uow() as tx:
            added = await self.mismo.app.tracks.add(tx, rows, [serialise(row, ROOT) for row in rows])
        assert len(added) == len(specs), "two tracks share a path"
        self.ids |= {row["title"]: row["id"] for row in rows}
        return [row["id"] for row in rows]

    def _row(self, spec: dict[str, Any]) -> dict[str, Any]:
        self._count += 1
        title = spec.setdefault("title", f"track {self._count}")
        columns = spec.pop("row", {})
        path = spec.pop("path", f"{self._count}.mp3")
        key: Key | None = parse_key(spec.pop("key", "")) if "key" in spec else None
        if key is not None:
            spec |= {"musical_key": key.tonic, "mode": key.mode, "initial_key": key.name}
        for one, many in (("artist", "artists"), ("genre", "genres")):
            if many not in spec and spec.get(one):
                spec[many] = (spec[one],)
            elif one not in spec and spec.get(many):
                spec[one] = spec[many][0]
        metadata = Metadata(container=Container.MPEG, codec="mp3", **spec)
        facts = FileFacts(size=1000 + self._count, mtime_ns=ADDED * 1_000_000, inode=self._count, device=1)
        audio_hash = columns.pop("audio_hash", f"{self._count:032x}")
        read = file_values(metadata, facts, audio_hash, HashState.DONE)
        row = new_values(ids.new_id(), self.directory, path.encode(), read, ADDED + self._count)
        assert title
        return complete({**row, **UNANALYSED, **columns})

    async def titles(self, path: str = "/api/tracks", **params: Any) -> list[str]:
        """The titles that a list answers, in its order."""
        answer = await self.mismo.client.get(path, **params)
        return [track["title"] for track in answer["data"]]

    async def found(self, **params: Any) -> set[str]:
        """The titles that filters let through; the total must agree."""
        answer = await self.mismo.client.get("/api/tracks", **{"limit": 1000, **params})
        assert answer["pagination"]["total"] == len(answer["data"])
        return {track["title"] for track in answer["data"]}

    async def search(self, q: str, **params: Any) -> list[str]:
        return await self.titles("/api/tracks/search", q=q, **params)

    async def get(self, title: str) -> dict[str, Any]:
        track: dict[str, Any] = (await self.mismo.client.get(f"/api/tracks/{self.ids[title]}"))["data"]
        return track

    async def patch(self, title: str, **edits: Any) -> dict[str, Any]:
        track: dict[str, Any] = (await self.mismo.client.patch(f"/api/tracks/{self.ids[title]}", edits))["data"]
        return track

    async def refused(self, path: str = "/api/tracks", **params: Any) -> str:
        """The name of the field that a 422 complains about."""
        answer = await self.mismo.client.get(path, status=422, **params)
        name: str = answer["errors"][0]["field"]
        return name


def named(titles: Sequence[str], **common: Any) -> list[dict[str, Any]]:
    """Specs that differ by title only."""
    return [{"title": title, **common} for title in titles]
