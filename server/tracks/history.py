"""What happened to a track's file: added, moved, missing, restored, retagged. Kept by following the log."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson

from server.clock import to_rfc3339
from server.db.database import Connection, Row
from server.db.uow import Transaction
from server.events.consumer import Consumer
from server.events.model import Entry, Event
from server.tracks import events

_EVENTS = {
    events.TrackAdded.name: "added",
    events.TrackMoved.name: "moved",
    events.TrackMissing.name: "missing",
    events.TrackRestored.name: "restored",
    events.TrackUpdated.name: "retagged",
}
# A change of these alone, or of what a user or an analysis says, is no retagging.
TAGS = frozenset(
    [
        "title",
        "artist",
        "artists",
        "album",
        "album_artist",
        "genre",
        "genres",
        "year",
        "date",
        "track_number",
        "track_total",
        "disc_number",
        "disc_total",
        "comment",
        "composer",
        "remixer",
        "label",
        "isrc",
        "grouping",
        "compilation",
        "has_artwork",
        "has_lyrics",
        "tag_bpm",
        "tag_key",
        "tag_rating",
        "replaygain",
        "audio_hash",
        "duration_seconds",
    ]
)

# What changes whenever a file was read again.
_READ = frozenset({"file_mtime_ns", "file_size", "audio_hash"})


class HistoryKeeper(Consumer):
    """Writes each file's story as the log tells it. Being added is in the track itself, and costs no row."""

    name = "library history"

    async def react(self, tx: Transaction[Event], entries: Sequence[Entry]) -> None:
        rows = [row for entry in entries for row in _rows(entry)]
        if rows:
            await tx.execute_many(
                """
                INSERT INTO library_history (track_id, at, event, moved_from, moved_to, fields)
                VALUES (:track_id, :at, :event, :moved_from, :moved_to, :fields)
                """,
                rows,
            )


def _rows(entry: Entry) -> Iterator[dict[str, Any]]:
    event = _EVENTS.get(entry.name)
    if event is None or event == "added":
        return
    fields = None
    if event == "retagged":
        named = entry.data.get("fields") or ()
        changed = sorted(TAGS.intersection(named))
        if not changed or _READ.isdisjoint(named):
            return  # a user's correction, or an analysis: the file is as it was
        fields = orjson.dumps(changed).decode()
    moves: Mapping[str, Mapping[str, str]] = {move["id"]: move for move in entry.data.get("moves", ())}
    for track_id in entry.data["ids"]:
        move = moves.get(track_id, {})
        yield {
            "track_id": track_id,
            "at": entry.ts,
            "event": event,
            "moved_from": move.get("from"),
            "moved_to": move.get("to"),
            "fields": fields,
        }


async def of_track(connection: Connection, track_id: str, date_added: int) -> list[dict[str, Any]]:
    """`{at, event, from?, to?, fields?}`, oldest first."""
    rows = await connection.fetch_all(
        "SELECT at, event, moved_from, moved_to, fields FROM library_history WHERE track_id = :id ORDER BY id",
        {"id": track_id},
    )
    return [{"at": to_rfc3339(date_added), "event": "added"}, *(_as_json(row) for row in rows)]


def _as_json(row: Row) -> dict[str, Any]:
    shown: dict[str, Any] = {"at": to_rfc3339(row["at"]), "event": row["event"]}
    if row["moved_from"] is not None:
        shown |= {"from": row["moved_from"], "to": row["moved_to"]}
    if row["fields"] is not None:
        shown["fields"] = orjson.loads(row["fields"])
    return shown
