"""The verbs of playlists themselves: find, make, change, delete, convert, copy and merge them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from server import errors, ids
from server.clock import Clock
from server.db.database import Connection, Database
from server.db.sql import Where
from server.db.uow import Transaction, UnitOfWork
from server.events.model import Event
from server.playlists import entries, events, repointing, rules, store
from server.playlists.changeable import WrongType, editable, existing
from server.playlists.contents import Contents
from server.playlists.folders import check_parent
from server.playlists.look import Looks
from server.playlists.model import Entry, Kind, Playlist
from server.playlists.rows import fresh, searchable
from server.playlists.rules import Criteria
from server.playlists.sessions import Sessions
from server.playlists.smart import Refreshed, SmartLists
from server.settings.service import SettingsService
from server.tracks.fold import fold
from server.tracks.plays import PlayService
from server.tracks.service import TrackService

Tx = Transaction[Event]
Json = dict[str, Any]


class PlaylistService:
    """`contents`, `sessions` and `smart` hold the verbs of entries, of sessions and of criteria; `looks` those of a few
    tracks of a smart playlist.
    """

    def __init__(
        self,
        database: Database,
        uow: UnitOfWork[Event],
        tracks: TrackService,
        plays: PlayService,
        settings: SettingsService,
        clock: Clock,
    ):
        self._database = database
        self._uow = uow
        self._tracks = tracks
        self._clock = clock
        self.contents = Contents(database, uow, tracks, clock)
        self.sessions = Sessions(database, uow, tracks, plays, settings, clock)
        self.smart = SmartLists(tracks, clock)
        self.looks = Looks(tracks, clock)

    # -- reading

    async def get(self, playlist_id: str) -> Playlist:
        """A playlist; raises `NotFound`."""
        return await existing(self._database.direct, playlist_id)

    def condition(
        self,
        search: str | None = None,
        kind: str | None = None,
        is_favorite: bool | None = None,
        parent_id: str | None = None,
    ) -> Where:
        """What a list of playlists is limited to. `parent_id` is that of a folder, or `root` for what lies in none."""
        return store.condition(
            kind=None if kind is None else Kind(kind),
            is_favorite=is_favorite,
            parent_id=parent_id,
            is_top=parent_id == "root",
            words=(fold(search).split() or [search]) if search else (),  # what folds to nothing is in no list
        )

    async def page(
        self, where: Where, limit: int, *, after: tuple[str, str] | None = None, offset: int = 0
    ) -> tuple[list[Playlist], tuple[str, str] | None]:
        """Playlists by name, and the place after them (None at the end)."""
        rows = await store.page(self._database.direct, where, limit + 1, after=after, offset=offset)
        found = [playlist for playlist, _ in rows[:limit]]
        if len(rows) <= limit:
            return found, None
        last, words = rows[limit - 1]
        return found, (words, last.id)

    async def count(self, where: Where) -> int:
        return await store.count(self._database.direct, where)

    # -- changing

    async def create(self, values: Mapping[str, Any], track_ids: Sequence[str] = ()) -> Playlist:
        """Make a static or smart playlist or a folder; a smart one is filled at once."""
        kind = Kind(values["type"])
        criteria = _criteria(kind, values.get("criteria"))
        if kind is not Kind.STATIC and track_ids:
            raise errors.Invalid.field("track_ids", "only a static playlist is filled by hand")
        async with self._uow() as tx:
            playlist = await self.insert(tx, kind, values)
            if track_ids:
                await self.contents.add_in(tx, playlist, track_ids)
            if criteria is not None:
                await self.smart.check(tx, playlist.id, criteria, values["criteria"])
                await self.smart.refresh(tx, playlist)
        return await self.get(playlist.id)

    async def insert(self, tx: Tx, kind: Kind, values: Mapping[str, Any]) -> Playlist:
        await check_parent(tx, None, values.get("parent_id"))
        given = {name: value for name, value in values.items() if name not in ("type", "name") and value is not None}
        row = fresh(ids.new_id(), kind, values["name"], self._clock.now_ms(), **given)
        await store.insert(tx, row)
        playlist = await existing(tx, row["id"])
        tx.emit(events.PlaylistCreated(playlist=playlist.as_json()))
        return playlist

    async def change(self, playlist_id: str, values: Mapping[str, Any]) -> Playlist:
        """Change what a person may change; the same values again announce nothing. New criteria take effect at once."""
        async with self._uow() as tx:
            known = await existing(tx, playlist_id)
            if values.get("criteria") is not None and values["criteria"] != known.criteria:
                criteria = rules.parse(values["criteria"])
                await self.smart.check(tx, playlist_id, criteria, values["criteria"])
            if "parent_id" in values:
                await check_parent(tx, playlist_id, values["parent_id"])
            before = await existing(tx, playlist_id)
            changed = self._changed(before, values)
            if "is_readonly" in changed and before.kind is Kind.SESSION:
                await self.sessions.set_readonly(tx, before, changed["is_readonly"])
            if not changed:
                return before
            await store.update(tx, playlist_id, {**changed, "updated_at": self._clock.now_ms()})
            after = await existing(tx, playlist_id)
            tx.emit(events.PlaylistUpdated(playlist=after.as_json()))
            if "criteria" in changed:
                await self.smart.refresh(tx, after)
        return await self.get(playlist_id)

    def _changed(self, before: Playlist, values: Mapping[str, Any]) -> dict[str, Any]:
        """The columns that differ; raises `Invalid` for what a playlist of this type hasn't."""
        changed: dict[str, Any] = {}
        if before.kind is Kind.SMART and "is_readonly" in values:
            if not values["is_readonly"]:
                raise errors.Invalid.field("is_readonly", "a smart playlist is filled by its criteria; convert it")
            values = {name: value for name, value in values.items() if name != "is_readonly"}
        for name in ("name", "parent_id", "description", "color", "icon", "is_favorite", "is_readonly", "criteria"):
            if name in values and getattr(before, name) != values[name]:
                changed[name] = values[name]
        if "criteria" in changed and (before.kind is not Kind.SMART or values["criteria"] is None):
            raise errors.Invalid.field("criteria", "belong to smart playlists, which can't do without")
        if changed.get("is_readonly") and before.kind in (Kind.FOLDER, Kind.TEMP):
            raise errors.Invalid.field("is_readonly", f"isn't taken by a playlist of type {before.kind}")
        for name, column in (("venue", "venue"), ("date", "session_date")):
            if name not in values:
                continue
            if before.session is None:
                raise errors.Invalid.field(name, "belongs to sessions")
            if getattr(before.session, name) != values[name]:
                changed[column] = values[name]
        if "name" in changed or "description" in changed:
            name, description = changed.get("name", before.name), changed.get("description", before.description)
            changed["search_words"] = searchable(name, description)
        return changed

    async def delete(self, playlist_id: str) -> None:
        """Delete a playlist with its entries; what lies in a folder moves up to where the folder was."""
        async with self._uow() as tx:
            playlist = await existing(tx, playlist_id)
            now = self._clock.now_ms()
            for child in await store.children(tx, playlist_id):
                await store.update(tx, child.id, {"parent_id": playlist.parent_id, "updated_at": now})
                moved = replace(child, parent_id=playlist.parent_id, updated_at=now)
                tx.emit(events.PlaylistUpdated(playlist=moved.as_json()))
            await store.delete(tx, playlist_id)
            tx.emit(events.PlaylistDeleted(id=playlist_id))

    async def refresh(self, playlist_id: str) -> Refreshed:
        """Evaluate a smart playlist now."""
        async with self._uow() as tx:
            playlist = await existing(tx, playlist_id)
            if playlist.kind is not Kind.SMART:
                raise WrongType("only a smart playlist is refreshed")
            return await self.smart.refresh(tx, playlist)

    async def convert(self, playlist_id: str) -> Playlist:
        """Make a smart playlist or a finished session a static one, with the entries it has."""
        async with self._uow() as tx:
            before = await existing(tx, playlist_id)
            if before.kind not in (Kind.SMART, Kind.SESSION):
                raise WrongType("only a smart playlist or a session is converted")
            if before.is_active_session:
                raise WrongType("the session isn't finished; finalise it first")
            now = self._clock.now_ms()
            values = {"type": Kind.STATIC.value, "criteria": None, "is_readonly": False, "updated_at": now}
            await store.update(tx, playlist_id, values)
            after = await existing(tx, playlist_id)
            tx.emit(events.PlaylistUpdated(playlist=after.as_json()))
        return after

    async def duplicate(self, playlist_id: str, name: str) -> Playlist:
        """A copy beside the original: a smart one with its criteria, of any other type a static one."""
        async with self._uow() as tx:
            source = await existing(tx, playlist_id)
            if source.kind is Kind.FOLDER:
                raise WrongType("a folder can't be duplicated")
            kind = Kind.SMART if source.kind is Kind.SMART else Kind.STATIC
            kept = {key: getattr(source, key) for key in ("parent_id", "description", "color", "icon", "criteria")}
            copy = await self.insert(tx, kind, {"type": kind.value, "name": name, **kept})
            if kind is Kind.SMART:
                await self.smart.refresh(tx, copy)
            else:
                await self._copy(tx, copy, await store.entries(tx, source.id))
        return await self.get(copy.id)

    async def merge(self, playlist_id: str, source_ids: Sequence[str], *, dedupe: bool) -> int:
        """Put the entries of other playlists at the end; with `dedupe` no track a second time. Returns how many came.

        The sources aren't changed.
        """
        async with self._uow() as tx:
            playlist = await editable(tx, playlist_id)
            if playlist.kind is Kind.SESSION:
                raise WrongType("a session holds what was played; merge into a static playlist")
            found: list[Entry] = []
            for index, source_id in enumerate(source_ids):
                source = await store.get(tx, source_id)
                if source_id == playlist_id or source is None:
                    raise errors.Invalid.field(f"source_ids[{index}]", f"there is no other playlist {source_id}")
                if source.kind is Kind.FOLDER:
                    raise errors.Invalid.field(f"source_ids[{index}]", "is a folder, which holds no tracks")
                found += await store.entries(tx, source_id)
            if dedupe:
                present = {track_id for _, _, track_id, _ in await store.members(tx, playlist_id)}
                first = {item.track_id: item for item in reversed(found) if item.track_id not in present}
                found = [item for item in found if first.get(item.track_id) is item]
            return await self._copy(tx, playlist, found)

    async def _copy(self, tx: Tx, playlist: Playlist, found: Sequence[Entry]) -> int:
        """Copies of entries, with what was said about them, but of tracks that still exist only."""
        now = self._clock.now_ms()
        known = await self._tracks.briefs(tx, list({item.track_id for item in found}))
        copies = [
            replace(
                item, id=ids.new_id(), playlist_id=playlist.id, added_at=now, played_at=None, play_duration_ms=None,
                deck=None, title=None, artist=None,
            )
            for item in found
            if item.track_id in known
        ]  # fmt: skip
        await entries.add(tx, playlist, copies, None, now)
        return len(copies)

    # -- for the domains that build on playlists

    async def entries_of(self, tx: Tx, track_ids: Sequence[str]) -> list[Entry]:
        """Every entry of some tracks in lists that aren't smart."""
        return await repointing.entries_of(tx, track_ids)

    async def belongings(self, tx: Tx, track_ids: Sequence[str]) -> list[Json]:
        """Every entry of some tracks in lists that aren't smart, as `give_back` takes them."""
        return [asdict(entry) for entry in await repointing.entries_of(tx, track_ids)]

    async def give_back(self, tx: Tx, belongings: Sequence[Mapping[str, Any]]) -> int:
        """Put entries back at their places, in playlists that are still there; returns how many."""
        found = sorted((Entry(**item) for item in belongings), key=lambda item: (item.playlist_id, item.rank, item.id))
        now = self._clock.now_ms()
        return sum([await repointing.put_back(tx, entry, now) for entry in found])

    async def tracks_in_lists(self, connection: Connection, track_ids: Sequence[str]) -> set[str]:
        """Which of some tracks stand in a playlist."""
        return {entry.track_id for entry in await repointing.entries_of(connection, track_ids) if entry.track_id}

    async def repoint(self, tx: Tx, from_track_id: str, to_track_id: str, *, dedupe: bool) -> Json:
        """Let every entry of one track stand for another; returns a JSON-ready record for `undo_repoint`."""
        brief = (await self._tracks.briefs(tx, [to_track_id])).get(to_track_id)
        if brief is None:
            raise errors.NotFound(f"there is no track {to_track_id}")
        return await repointing.repoint(tx, from_track_id, brief, dedupe=dedupe, now=self._clock.now_ms())

    async def undo_repoint(self, tx: Tx, record: Mapping[str, Any]) -> None:
        """Take a repointing back whole, as far as its entries are still there and as it left them."""
        await repointing.undo(tx, record, self._clock.now_ms())

    async def log_play(
        self, tx: Tx, track_id: str, played_at: int, duration: float | None = None, deck: str | None = None
    ) -> Json | None:
        """Write a play of the engine into the active session; see `Sessions.log_play`."""
        return await self.sessions.log_play(tx, track_id, played_at, duration, deck)

    async def log_counted(self, tx: Tx, track_id: str, played_at: int, duration: float, deck: str | None) -> None:
        """Write a play that was counted elsewhere into the active session, however short it was."""
        await self.sessions.log_play(tx, track_id, played_at, duration, deck, has_counted=True)


def _criteria(kind: Kind, content: Mapping[str, Any] | None) -> Criteria | None:
    if kind is Kind.SMART:
        if content is None:
            raise errors.Invalid.field("criteria", "is required for a smart playlist")
        return rules.parse(content)
    if content is not None:
        raise errors.Invalid.field("criteria", "belong to smart playlists")
    return None
