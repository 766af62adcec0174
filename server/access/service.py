"""Tokens: made and revoked on the command line, checked at every request. Only their hashes are kept."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from dataclasses import dataclass

from server import errors, ids
from server.clock import Clock
from server.db.database import Database

PREFIX = "mismo_"
REMEMBERED_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Token:
    id: str
    name: str
    created_at: int


class AccessService:
    def __init__(self, database: Database, clock: Clock, configured: str | None):
        """`configured` is the token of `API_TOKEN`, if there is one."""
        self._database = database
        self._clock = clock
        self._configured = configured
        self._hashes: tuple[float, frozenset[str]] = (0.0, frozenset())

    async def create(self, name: str) -> str:
        """Make a token; its text is shown this once. Raises `UniqueViolation` when the name is taken."""
        text = PREFIX + secrets.token_urlsafe(32)
        async with self._database.write() as connection:
            await connection.execute(
                "INSERT INTO tokens (id, name, hash, created_at) VALUES (:id, :name, :hash, :now)",
                {"id": ids.new_id(), "name": name, "hash": _hash(text), "now": self._clock.now_ms()},
            )
        return text

    async def list(self) -> list[Token]:
        rows = await self._database.fetch_all("SELECT id, name, created_at FROM tokens ORDER BY created_at, id")
        return [Token(row["id"], row["name"], row["created_at"]) for row in rows]

    async def revoke(self, name: str) -> None:
        """Forget a token; raises `NotFound`. Servers that run notice within seconds."""
        async with self._database.write() as connection:
            if not await connection.execute("DELETE FROM tokens WHERE name = :name", {"name": name}):
                raise errors.NotFound(f"there is no token {name!r}")

    async def has_any(self) -> bool:
        return self._configured is not None or bool(await self.list())

    async def verify(self, token: str) -> bool:
        if self._configured is not None and hmac.compare_digest(token.encode(), self._configured.encode()):
            return True
        read_at, hashes = self._hashes
        if time.monotonic() - read_at > REMEMBERED_SECONDS:
            hashes = frozenset(row["hash"] for row in await self._database.fetch_all("SELECT hash FROM tokens"))
            self._hashes = (time.monotonic(), hashes)
        return _hash(token) in hashes


def _hash(token: str) -> str:
    # A token holds 256 random bits, so a plain digest can't be guessed back.
    return hashlib.sha256(token.encode()).hexdigest()
