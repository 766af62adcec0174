"""Changes to tell of, made as fast as a test wants them."""

from __future__ import annotations

from typing import Any

from server.settings.events import SettingUpdated
from server.tracks.events import TrackUpdated
from tests.support.application import Running


async def announce(mismo: Running, count: int, start: int = 0, client_id: str | None = None) -> int:
    """Commit events `setting:updated` with the values `start`, `start + 1`, …; returns the number of the last."""
    async with mismo.app.uow() as tx:
        tx.emit(*(SettingUpdated(key="n", value=n, client_id=client_id) for n in range(start, start + count)))
    return mismo.app.log.seq


async def touch(mismo: Running, *ids: str) -> int:
    """Commit one `track:updated`."""
    async with mismo.app.uow() as tx:
        tx.emit(TrackUpdated(ids=ids))
    return mismo.app.log.seq


def values(events: list[dict[str, Any]]) -> list[int]:
    """What `announce` counted."""
    return [event["data"]["value"] for event in events if event["event"] == "setting:updated"]
