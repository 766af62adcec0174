"""Folders of playlists: what may lie in which."""

from __future__ import annotations

from server import errors
from server.db.uow import Transaction
from server.events.model import Event
from server.playlists import store
from server.playlists.model import Kind

MAX_FOLDER_DEPTH = 32


async def check_parent(tx: Transaction[Event], playlist_id: str | None, parent_id: str | None) -> None:
    """That a parent is a folder, and not inside what is put into it. Raises `Invalid`."""
    if parent_id is None:
        return
    folders = {item.id: item for item in await store.of_kind(tx, Kind.FOLDER)}
    if parent_id not in folders:
        raise errors.Invalid.field("parent_id", f"there is no folder {parent_id}")
    current: str | None = parent_id
    depth = 0
    while current is not None:
        depth += 1
        if current == playlist_id:
            raise errors.Invalid.field("parent_id", "is the folder itself, or lies inside it")
        current = folders[current].parent_id
    if depth > MAX_FOLDER_DEPTH:
        raise errors.Invalid.field("parent_id", f"folders nest at most {MAX_FOLDER_DEPTH} deep")
