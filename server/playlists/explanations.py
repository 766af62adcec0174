"""Why a playlist holds what it holds: for a whole list, for one track, and for criteria that are only tried out."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import orjson

from server import errors
from server.clock import to_rfc3339
from server.db.database import Connection, Database
from server.playlists import explain, rules, store
from server.playlists.changeable import existing
from server.playlists.entries import milliseconds
from server.playlists.model import Kind, Playlist
from server.playlists.rules import Criteria
from server.playlists.smart import SmartLists, criteria_of
from server.playlists.stats import statistics
from server.tracks.service import TrackService

Json = dict[str, Any]
PREVIEW_TRACKS = 50


class Explanations:
    def __init__(self, database: Database, tracks: TrackService, smart: SmartLists):
        self._database = database
        self._tracks = tracks
        self._smart = smart

    async def of_list(self, playlist_id: str) -> Json:
        """A sentence about a whole playlist."""
        async with self._database.read() as connection:
            playlist = await existing(connection, playlist_id)
            if playlist.kind is not Kind.SMART:
                return {"explanation": _by_hand(playlist)}
            criteria = criteria_of(playlist)
            return {"explanation": explain.sentence(criteria, await self._names(connection, criteria))}

    async def of_track(self, playlist_id: str, track_id: str) -> Json:
        """Whether a track is in a playlist, and why. A smart one is judged by its criteria as of now."""
        async with self._database.read() as connection:
            playlist = await existing(connection, playlist_id)
            resource = (await self._tracks.resources([track_id])).get(track_id)
            if resource is None:
                raise errors.NotFound(f"there is no track {track_id}")
            if playlist.kind is not Kind.SMART:
                return await self._placed(connection, playlist, track_id)
            criteria = criteria_of(playlist)
            conditions = list(dict.fromkeys(criteria.conditions()))
            compiler = self._smart.compiler(connection)
            held = await self._tracks.holds(connection, track_id, [compiler.rule(item) for item in conditions])
            facts = dict(zip(conditions, held or [], strict=True))
            names = await self._names(connection, criteria)
            reasons = explain.reasons(criteria.rule, facts, names, orjson.loads(resource))
            is_in = explain.holds(criteria.rule, facts)
            if is_in and criteria.limit is not None:
                is_in = track_id in {match.id for match in await self._smart.evaluate(connection, criteria)}
                if not is_in:
                    reasons = [f"it fits, but the list is full ({explain.limit(criteria)})"]
        return _verdict(is_in=is_in, reasons=reasons or ["every track is"])

    async def _placed(self, connection: Connection, playlist: Playlist, track_id: str) -> Json:
        found = [item for item in await store.of_tracks(connection, [track_id]) if item.playlist_id == playlist.id]
        if not found:
            way = "it wasn't played" if playlist.kind is Kind.SESSION else "nobody has put it there"
            return _verdict(is_in=False, reasons=[way])
        reasons = []
        for item in found:
            place = await store.position_of(connection, item) + 1
            is_play = item.played_at is not None
            moment = to_rfc3339(item.played_at if is_play else item.added_at)
            reasons.append(f"{'played' if is_play else 'put'} at place {place} on {moment}")
        return _verdict(is_in=True, reasons=reasons)

    async def preview(self, content: Mapping[str, Any], limit: int = PREVIEW_TRACKS) -> Json:
        """What criteria would match now, without storing anything; raises `Invalid`."""
        criteria = rules.parse(content)
        async with self._database.read() as connection:
            found = await self._smart.evaluate(connection, criteria)
            names = await self._names(connection, criteria)
        first = [match.id for match in found[:limit]]
        tracks = await self._tracks.resources(first)
        return {
            "count": len(found),
            "total_duration": sum(milliseconds(match.duration_seconds) for match in found) / 1000,
            "tracks": [orjson.Fragment(tracks[track_id]) for track_id in first if track_id in tracks],
            "explanation": explain.sentence(criteria, names),
        }

    async def statistics(self, playlist_id: str) -> Json:
        """The figures of a playlist."""
        async with self._database.read() as connection:
            playlist = await existing(connection, playlist_id)
            members = await store.members(connection, playlist.id)
            known = await self._tracks.briefs(connection, list({track_id for _, _, track_id, _ in members}))
        return statistics(
            [known.get(track_id) for _, _, track_id, _ in members], [duration for _, _, _, duration in members]
        )

    async def _names(self, connection: Connection, criteria: Criteria) -> dict[str, str]:
        """What the playlists, tracks and library directories in criteria are called."""
        lists = await store.by_ids(connection, criteria.playlist_ids)
        tracks = await self._tracks.briefs(connection, sorted(criteria.track_ids))
        directories = await self._tracks.locations(connection)
        return {
            **{id_: os.path.basename(item.root).decode("utf-8", "replace") for id_, item in directories.items()},
            **{id_: item.name for id_, item in lists.items()},
            **{
                id_: f"{item.artist} – {item.title}" if item.artist else f"{item.title}" for id_, item in tracks.items()
            },
        }


def _by_hand(playlist: Playlist) -> str:
    count = f"{playlist.track_count} track{'' if playlist.track_count == 1 else 's'}"
    if playlist.session is not None:
        where = f" at {playlist.session.venue}" if playlist.session.venue else ""
        return f"What was played on {playlist.session.date}{where}: {count}."
    if playlist.kind is Kind.FOLDER:
        return "A folder of playlists."
    return f"Put together by hand: {count}."


def _verdict(*, is_in: bool, reasons: list[str]) -> Json:
    return {
        "included": is_in,
        "reasons": reasons,
        "explanation": f"{'In' if is_in else 'Out'}: {'; '.join(reasons)}.",
    }
