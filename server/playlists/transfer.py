"""Playlists out of Mismo and into it: files that other players write and read, and Mismo's own JSON."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import orjson

from server.clock import Clock
from server.db.database import Connection, Database
from server.db.uow import UnitOfWork
from server.events.log import seq_seen
from server.events.model import Event
from server.playlists import entries, m3u, rules, store
from server.playlists.changeable import WrongType, existing
from server.playlists.matching import Matcher, Verdict, Wanted
from server.playlists.model import REMARKS, Entry, Kind, Playlist
from server.playlists.service import PlaylistService
from server.tracks.fold import fold
from server.tracks.selection import Brief
from server.tracks.service import TrackService

Json = dict[str, Any]
UNNAMED = "Imported playlist"


class Format(StrEnum):
    M3U8 = "m3u8"
    M3U = "m3u"
    JSON = "json"


class Paths(StrEnum):
    """`relative` to the library directory, or to the folder that the library directories in the list share."""

    ABSOLUTE = "absolute"
    RELATIVE = "relative"


@dataclass(frozen=True, slots=True)
class Exported:
    """A file; `omitted` tracks have no path that could be written. `seq` is the last event that is in it."""

    name: str
    content: bytes
    omitted: int
    seq: int


@dataclass(frozen=True, slots=True)
class Imported:
    """The playlist that was made, and what became of each track the file names."""

    playlist: Playlist
    encoding: str
    verdicts: tuple[Verdict, ...]

    def as_json(self) -> Json:
        unmatched = [verdict for verdict in self.verdicts if verdict.track is None]
        return {
            "playlist": self.playlist.as_json(),
            "encoding": self.encoding,
            "total": len(self.verdicts),
            "matched": len(self.verdicts) - len(unmatched),
            "unmatched": [
                {
                    "line": verdict.wanted.line,
                    "text": verdict.wanted.text,
                    "title": verdict.wanted.title,
                    "artist": verdict.wanted.artist,
                    "reason": verdict.reason,
                }
                for verdict in unmatched
            ],
        }


class Transfer:
    def __init__(
        self,
        database: Database,
        uow: UnitOfWork[Event],
        tracks: TrackService,
        playlists: PlaylistService,
        clock: Clock,
    ):
        self._database = database
        self._uow = uow
        self._tracks = tracks
        self._playlists = playlists
        self._clock = clock

    # -- out

    async def export(self, playlist_id: str, file_format: Format, paths: Paths) -> Exported:
        """A playlist as a file. Raises `NotFound`, `WrongType` for a folder."""
        async with self._database.read() as connection:
            playlist = await existing(connection, playlist_id)
            if playlist.kind is Kind.FOLDER:
                raise WrongType("a folder can't be exported")
            found = await store.entries(connection, playlist_id)
            known = await self._tracks.briefs(connection, list({item.track_id for item in found}))
            roots = {key: item.root for key, item in (await self._tracks.locations(connection)).items()}
            seq = await seq_seen(connection)
        written = _written_paths(known, roots, paths)
        name = f"{playlist.name}.{file_format.value}"
        if file_format is Format.JSON:
            return Exported(name, orjson.dumps(_as_json(playlist, found, known, written)), 0, seq)
        items = [_item(item, known.get(item.track_id), written.get(item.track_id)) for item in found]
        content, omitted = m3u.write(playlist.name, items)
        return Exported(name, content, omitted, seq)

    # -- in

    async def import_m3u(self, content: bytes, name: str | None, parent_id: str | None) -> Imported:
        """A static playlist from an M3U or M3U8 file; what isn't found is reported, line by line."""
        file = m3u.read(content)
        wanted = [
            Wanted(
                line=line.number,
                text=line.text,
                path=line.path,
                is_absolute=line.is_absolute,
                title=line.title,
                artist=line.artist,
                duration_seconds=line.duration_seconds,
            )
            for line in file.lines
        ]
        values = {"type": Kind.STATIC.value, "name": name or file.name or UNNAMED, "parent_id": parent_id}
        return await self._import(values, wanted, [{} for _ in wanted], file.encoding)

    async def import_json(self, content: Mapping[str, Any], name: str | None, parent_id: str | None) -> Imported:
        """A playlist from what `export` wrote as JSON; one with criteria is filled by them."""
        wanted = [
            Wanted(
                line=number,
                text=item.get("path") or item.get("title") or "",
                path=item.get("path"),
                is_absolute=(item.get("path") or "").startswith("/"),
                title=item.get("title"),
                artist=item.get("artist"),
                duration_seconds=item.get("duration_seconds"),
                audio_hash=item.get("audio_hash"),
                track_id=item.get("track_id"),
            )
            for number, item in enumerate(content["entries"], 1)
        ]
        remarks = [{key: item.get(key) for key in REMARKS} for item in content["entries"]]
        described = {key: content.get(key) for key in ("description", "color", "icon")}
        values = {"name": name or content.get("name") or UNNAMED, "parent_id": parent_id, **described}
        if content.get("criteria") is None:
            return await self._import({"type": Kind.STATIC.value, **values}, wanted, remarks, "utf-8")
        rules.parse(content["criteria"])
        made = await self._playlists.create({"type": Kind.SMART.value, **values, "criteria": content["criteria"]})
        return Imported(made, "utf-8", ())

    async def _import(
        self, values: Mapping[str, Any], wanted: Sequence[Wanted], remarks: Sequence[Json], encoding: str
    ) -> Imported:
        matcher = await self._matcher(self._database.direct, wanted)
        verdicts = tuple(matcher.match(item) for item in wanted)
        async with self._uow() as tx:
            playlist = await self._playlists.insert(tx, Kind.STATIC, values)
            now = self._clock.now_ms()
            drafts = [
                entries.draft(playlist, verdict.track, now, **said)
                for verdict, said in zip(verdicts, remarks, strict=True)
                if verdict.track is not None
            ]
            await entries.add(tx, playlist, drafts, None, now)
        return Imported(await self._playlists.get(playlist.id), encoding, verdicts)

    async def _matcher(self, connection: Connection, wanted: Sequence[Wanted]) -> Matcher:
        unquoted = [other for item in wanted if (other := item.unquoted) is not None]
        candidates = await self._tracks.resembling(
            connection,
            stems=sorted({item.stem for item in (*wanted, *unquoted)}),
            titles=sorted({fold(item.title) for item in wanted if item.title}),
            hashes=sorted({item.audio_hash for item in wanted if item.audio_hash}),
        )
        named = await self._tracks.briefs(connection, sorted({item.track_id for item in wanted if item.track_id}))
        roots = await self._tracks.locations(connection)
        return Matcher(
            [*named.values(), *(track for track in candidates if track.id not in named)],
            {key: item.root.decode("utf-8", "replace") for key, item in roots.items()},
        )


def _written_paths(known: Mapping[str, Brief], roots: Mapping[str, bytes], paths: Paths) -> dict[str, bytes]:
    """Track id → its path as it is written."""
    absolute = {
        track.id: os.path.join(roots[track.library_directory_id], track.path)
        for track in known.values()
        if track.library_directory_id in roots
    }
    if paths is Paths.ABSOLUTE or not absolute:
        return absolute
    base = os.path.commonpath([roots[known[track_id].library_directory_id] for track_id in absolute])
    return {track_id: os.path.relpath(path, base) for track_id, path in absolute.items()}


def _item(entry: Entry, track: Brief | None, path: bytes | None) -> m3u.Item:
    title, artist = (entry.title, entry.artist) if track is None else (track.title, track.artist)
    length = entry.duration_ms / 1000 if entry.duration_ms else None
    return m3u.Item(path, title or "unknown", artist, length)


def _as_json(
    playlist: Playlist, found: Sequence[Entry], known: Mapping[str, Brief], written: Mapping[str, bytes]
) -> Json:
    described = []
    for position, item in enumerate(found):
        track = known.get(item.track_id)
        path = written.get(item.track_id)
        described.append(
            {
                **item.as_json(position),
                "title": item.title if track is None else track.title,
                "artist": item.artist if track is None else track.artist,
                "duration_seconds": item.duration_ms / 1000,
                "audio_hash": track and track.audio_hash,
                "path": None if path is None else path.decode("utf-8", "replace"),
            }
        )
    kept = ("name", "type", "description", "color", "icon", "criteria", "session")
    whole = playlist.as_json()
    return {"mismo_playlist": 1, **{key: whole[key] for key in kept}, "entries": described}
