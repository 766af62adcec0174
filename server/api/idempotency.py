"""`Idempotency-Key`: the same POST with the same key gets its first answer again, for a day."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from server import errors
from server.clock import Clock
from server.db.database import Database

KEPT_MS = 24 * 3600 * 1000
# A reservation older than this was left by a process that died before it had an answer.
ABANDONED_MS = 60 * 1000
_RESERVED = 0


@dataclass(frozen=True, slots=True)
class Stored:
    status: int
    body: bytes
    location: str | None


class IdempotencyKeys:
    def __init__(self, database: Database, clock: Clock):
        self._database = database
        self._clock = clock

    async def reserve(self, key: str, method: str, path: str, body: bytes) -> Stored | None:
        """The first answer under this key; or None, and the key is reserved for the caller.

        Raises `IdempotencyConflict` when the key belongs to another request, or to one that is still being answered.
        """
        fingerprint = hashlib.sha256(b"\0".join([method.encode(), path.encode(), body])).hexdigest()
        now = self._clock.now_ms()
        async with self._database.write() as connection:
            await connection.execute(
                """
                DELETE FROM idempotency_keys WHERE created_at < :expired
                OR (status = 0 AND created_at < :abandoned)
                """,
                {"expired": now - KEPT_MS, "abandoned": now - ABANDONED_MS},
            )
            reserved = await connection.execute(
                """
                INSERT INTO idempotency_keys (key, fingerprint, status, body, created_at)
                VALUES (:key, :fingerprint, 0, :body, :now) ON CONFLICT (key) DO NOTHING
                """,
                {"key": key, "fingerprint": fingerprint, "body": b"", "now": now},
            )
            if reserved:
                return None
            row = await connection.fetch_one(
                "SELECT fingerprint, status, body, location FROM idempotency_keys WHERE key = :key", {"key": key}
            )
        if row is None or row["fingerprint"] != fingerprint:
            raise errors.IdempotencyConflict
        if row["status"] == _RESERVED:
            raise errors.IdempotencyConflict("a request with this Idempotency-Key is still being answered")
        return Stored(row["status"], bytes(row["body"]), row["location"])

    async def store(self, key: str, answer: Stored) -> None:
        async with self._database.write() as connection:
            await connection.execute(
                "UPDATE idempotency_keys SET status = :status, body = :body, location = :location WHERE key = :key",
                {"key": key, "status": answer.status, "body": answer.body, "location": answer.location},
            )

    async def release(self, key: str) -> None:
        """Forget a reservation whose request failed, so that it can be tried again."""
        async with self._database.write() as connection:
            await connection.execute("DELETE FROM idempotency_keys WHERE key = :key AND status = 0", {"key": key})
