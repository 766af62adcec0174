"""The row of a playlist that is made."""

from __future__ import annotations

from typing import Any

from server.playlists.model import Kind
from server.tracks.fold import fold


def fresh(playlist_id: str, kind: Kind, name: str, now: int, **values: Any) -> dict[str, Any]:
    """The row of a new, empty playlist."""
    return {
        "id": playlist_id,
        "type": kind.value,
        "name": name,
        "search_words": searchable(name, values.get("description")),
        "is_favorite": False,
        "is_readonly": False,
        "track_count": 0,
        "total_duration_ms": 0,
        "created_at": now,
        "updated_at": now,
        **values,
    }


def searchable(name: str, description: str | None) -> str:
    """The folded text that a search and the order of lists go by."""
    return fold(f"{name} {description or ''}")
