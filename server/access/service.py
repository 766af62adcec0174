"""Tokens: made and revoked on the command line, checked at every request. Only their hashes are kept."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass

from server import errors, ids
from server.clock import Clock
from server.db.database import Database

PREFIX = "mismo_"
REMEMBERED_MS = 5_000
MAX_NAME = 100


@dataclass(frozen=True, slots=True)
class Token:
    id: str
    name: str
    created_at: int


class TokenExists(errors.Conflict):
    """There is a token of this name already."""

    code = "token_exists"


class AccessService:
    def __init__(self, database: Database, clock: Clock, configured: str | None):
        """`configured` is the token of `API_TOKEN`, if there is one."""
        self._database = database
        self._clock = clock
        self._configured = None if configured is None else _hash(configured)
        # Digest → when it was last found in the database. Only real tokens get in, so it stays small.
        self._known: dict[str, int] = {}

    async def create(self, name: str) -> str:
        """Make a token; its text is shown this once. Raises `TokenExists`, and `Invalid` for an unreadable name."""
        if not 0 < len(name) <= MAX_NAME or not name.isprintable() or name != name.strip():
            raise errors.Invalid.field("name", f"must be 1 to {MAX_NAME} printable characters")
        text = PREFIX + secrets.token_urlsafe(32)
        try:
            async with self._database.write() as connection:
                await connection.execute(
                    "INSERT INTO tokens (id, name, hash, created_at) VALUES (:id, :name, :hash, :now)",
                    {"id": ids.new_id(), "name": name, "hash": _hash(text), "now": self._clock.now_ms()},
                )
        except errors.UniqueViolation:
            raise TokenExists(f"there is a token {name!r} already") from None
        return text

    async def list(self) -> list[Token]:
        rows = await self._database.fetch_all("SELECT id, name, created_at FROM tokens ORDER BY created_at, id")
        return [Token(row["id"], row["name"], row["created_at"]) for row in rows]

    async def revoke(self, name: str) -> None:
        """Forget a token; raises `NotFound`. Servers that run notice within `REMEMBERED_MS`."""
        async with self._database.write() as connection:
            if not await connection.execute("DELETE FROM tokens WHERE name = :name", {"name": name}):
                raise errors.NotFound(f"there is no token {name!r}")

    async def has_any(self) -> bool:
        return self._configured is not None or bool(await self.list())

    async def verify(self, token: str) -> bool:
        """Whether a client that presents this may come in. A new token is good at once, also in servers that run."""
        digest = _hash(token)
        if self._configured is not None and hmac.compare_digest(digest, self._configured):
            return True
        now = self._clock.now_ms()
        if now - self._known.get(digest, 0) < REMEMBERED_MS:
            return True
        found = await self._database.fetch_value("SELECT 1 FROM tokens WHERE hash = :hash", {"hash": digest})
        if found is None:
            self._known.pop(digest, None)
            return False
        self._known[digest] = now
        return True


def _hash(token: str) -> str:
    # A token holds 256 random bits, so a plain digest can't be guessed back.
    return hashlib.sha256(token.encode(errors="surrogateescape")).hexdigest()
