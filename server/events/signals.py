"""Signals: short words between the processes that share a database, beside the log. One that is lost does no harm."""

from __future__ import annotations

from collections.abc import Callable

from server import ids
from server.db.database import Database, Dialect
from server.db.uow import Transaction
from server.events.model import Event

MAX_BYTES = 7_900  # PostgreSQL takes less than 8,000


class Signals:
    """Each topic has one hearer in every process. What a signal asks for must stand in the database too, or be news
    that may be missed: while PostgreSQL can't be reached, nobody hears anything."""

    def __init__(self, database: Database):
        self._database = database
        self._own = ids.new_id()
        self._hearers: dict[str, Callable[[str], None]] = {}

    @property
    def is_shared(self) -> bool:
        """Whether there may be other processes at all."""
        return self._database.dialect is Dialect.POSTGRES

    def on(self, topic: str, hear: Callable[[str], None]) -> None:
        """`hear` gets the words of a topic, from this process and the others; it must neither block nor raise."""
        self._hearers[topic] = hear

    async def send_with(self, tx: Transaction[Event], topic: str, words: str = "") -> None:
        """Signal on the commit of a transaction."""
        if self.is_shared:
            await self._database.signal(self._text(topic, words), tx)
        tx.on_commit(lambda: self._hearers[topic](words))

    async def send(self, topic: str, words: str = "") -> None:
        """Signal at once. Raises `Unavailable`."""
        await self.tell_others(topic, words)
        self._hearers[topic](words)

    async def tell_others(self, topic: str, words: str) -> None:
        """Signal to the other processes alone."""
        if self.is_shared:
            await self._database.signal(self._text(topic, words))

    def _text(self, topic: str, words: str) -> str:
        return f"{self._own} {topic} {words}"

    def heard(self, text: str) -> None:
        """Take what the database's listener has heard."""
        sender, topic, words = text.split(" ", 2)
        if sender != self._own and topic in self._hearers:
            self._hearers[topic](words)
