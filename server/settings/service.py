"""Settings in effect: read from memory, written through the unit of work."""

from __future__ import annotations

from typing import Any

import orjson

from server import errors
from server.clock import Clock, to_rfc3339
from server.db.database import Database
from server.db.uow import UnitOfWork
from server.events.log import EventLog
from server.events.model import Event
from server.settings import store
from server.settings.events import SettingUpdated
from server.settings.model import MAX_JSON_BYTES, SETTINGS, Setting


class SettingsService:
    def __init__(self, database: Database, uow: UnitOfWork[Event], event_log: EventLog, clock: Clock):
        self._database = database
        self._uow = uow
        self._log = event_log
        self._clock = clock
        self._cached: tuple[int, dict[str, tuple[Any, int]]] = (-1, {})

    async def get(self, key: str) -> Any:
        """The value in effect: what was set, or the default."""
        stored = (await self._stored()).get(_known(key).key)
        return SETTINGS[key].default if stored is None else stored[0]

    async def describe(self, key: str) -> dict[str, Any]:
        """The setting as the API shows it; raises `NotFound`."""
        setting = _known(key)
        stored = (await self._stored()).get(key)
        return {
            "key": key,
            "value": setting.default if stored is None else stored[0],
            "default": setting.default,
            "type": setting.kind,
            "description": setting.description,
            "updated_at": None if stored is None else to_rfc3339(stored[1]),
        }

    async def describe_all(self) -> list[dict[str, Any]]:
        return [await self.describe(key) for key in SETTINGS]

    async def put(self, key: str, value: Any) -> dict[str, Any]:
        """Change a setting; the same value again changes and announces nothing."""
        checked = _known(key).check(value)
        encoded = orjson.dumps(checked)
        if len(encoded) > MAX_JSON_BYTES:
            raise errors.Invalid.field("value", f"is longer than {MAX_JSON_BYTES} bytes")
        async with self._uow() as tx:
            if await store.put(tx, key, encoded.decode(), self._clock.now_ms()):
                tx.emit(SettingUpdated(key=key, value=checked))
        return await self.describe(key)

    async def _stored(self) -> dict[str, tuple[Any, int]]:
        # Every change is an event, so what was read at an event number holds until the next one.
        seq, values = self._cached
        if seq != self._log.seq:
            seq = self._log.seq
            values = await store.all_values(self._database.direct)
            self._cached = (seq, values)
        return values


def _known(key: str) -> Setting:
    if key not in SETTINGS:
        raise errors.NotFound(f"there is no setting {key!r}")
    return SETTINGS[key]
