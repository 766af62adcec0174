"""Which copy of a group to keep: the rows with what lies outside them, ranked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from server.db.database import Row, as_dict
from server.db.uow import Transaction
from server.duplicates.following import PlaylistRepointer
from server.duplicates.model import Copy, Policy, Ranked, Suggestion, rank, suggest
from server.events.model import Event
from server.libraries.service import LibraryService
from server.tracks.service import TrackService

Tx = Transaction[Event]


class Suggester:
    """`playlists` is None where there are none."""

    def __init__(self, tracks: TrackService, libraries: LibraryService, playlists: PlaylistRepointer | None):
        self._tracks = tracks
        self._libraries = libraries
        self._playlists = playlists

    async def ranked(
        self, tx: Tx, rows: Mapping[str, Sequence[Row]], policy: Policy = Policy.DEFAULT
    ) -> dict[str, list[Ranked]]:
        """The copies of each audio hash, best first."""
        priorities = {directory.id: directory.priority for directory in await self._libraries.all()}
        locations = await self._tracks.locations(tx)
        entries: Counter[str] = Counter()
        if self._playlists is not None:
            ids = [row["id"] for copies in rows.values() for row in copies]
            entries.update(entry.track_id for entry in await self._playlists.entries_of(tx, ids))
        found = {}
        for audio_hash, copies in rows.items():
            found[audio_hash] = rank(
                [
                    Copy(
                        as_dict(row),
                        (location := locations.get(row["library_directory_id"])) is not None
                        and location.unreachable_reason is None,
                        priorities.get(row["library_directory_id"], 0),
                        entries[row["id"]],
                    )
                    for row in copies
                ],
                policy,
            )
        return found

    async def suggestions(self, tx: Tx, rows: Mapping[str, Sequence[Row]]) -> dict[str, Suggestion]:
        """For each audio hash that has copies at all."""
        ranked = await self.ranked(tx, {audio_hash: copies for audio_hash, copies in rows.items() if copies})
        return {audio_hash: suggest(copies) for audio_hash, copies in ranked.items()}
