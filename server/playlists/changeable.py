"""A playlist for a change: found, and allowed to change in this way."""

from __future__ import annotations

from server import errors
from server.db.database import Connection
from server.db.uow import Transaction
from server.events.model import Event
from server.playlists import store
from server.playlists.model import Kind, Playlist

Tx = Transaction[Event]


class WrongType(errors.Conflict):
    """This isn't possible with a playlist of this type."""

    code = "playlist_type"


class ReadOnly(errors.Conflict):
    """The playlist is read-only; a session is reopened by PUT is_readonly false."""

    code = "playlist_readonly"


async def existing(connection: Connection, playlist_id: str) -> Playlist:
    """Raises `NotFound`."""
    found = await store.get(connection, playlist_id)
    if found is None:
        raise errors.NotFound(f"there is no playlist {playlist_id}")
    return found


async def editable(tx: Tx, playlist_id: str) -> Playlist:
    """One whose entries a person may change. Raises `NotFound`, `WrongType`, `ReadOnly`."""
    playlist = await existing(tx, playlist_id)
    if playlist.kind is Kind.FOLDER:
        raise WrongType("a folder holds playlists, not tracks")
    if playlist.kind is Kind.SMART:
        raise WrongType("a smart playlist is filled by its criteria; convert it to edit it by hand")
    if playlist.is_readonly:
        raise ReadOnly
    return playlist
