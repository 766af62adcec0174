"""Duties: what only one of the processes that share a database does at a time, and who of them does it."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

from server import errors, log
from server.db.database import Database, Session
from server.supervise import Service

logger = log.get(__name__)
LOOK_SECONDS = 2.0
RETRY_SECONDS = 0.25


class Post:
    """The right to a duty. It has one holder among all processes, or none for a moment after its holder died."""

    def __init__(self, name: str):
        self.name = name
        self._taken = asyncio.Event()
        self._left = asyncio.Event()
        self._left.set()

    @property
    def is_held(self) -> bool:
        return self._taken.is_set()

    async def taken(self) -> None:
        """Wait until this process holds the post."""
        await self._taken.wait()

    async def left(self) -> None:
        """Wait until it doesn't."""
        await self._left.wait()

    def put(self, *, is_held: bool) -> None:
        """Say whether this process holds the post now."""
        if is_held != self.is_held:
            logger.info("a duty was taken on" if is_held else "a duty was lost to another process", duty=self.name)
        for event, is_true in ((self._taken, is_held), (self._left, not is_held)):
            if is_true:
                event.set()
            else:
                event.clear()


class Duties:
    """A service: holds the posts, each as a lock of a session with the database.

    A holder whose session is lost (PostgreSQL was restarted) goes on and takes the lock again as soon as it can; the
    others look a little later, so that nothing changes hands. Only who finds the lock taken by another lets go.
    """

    name = "duties"

    def __init__(self, database: Database):
        self._database = database
        self._posts: dict[str, Post] = {}
        self._session: Session | None = None
        self._closing = AsyncExitStack()
        self._has_looked = False

    def post(self, name: str) -> Post:
        """The post of a name; the same one for all who ask."""
        return self._posts.setdefault(name, Post(name))

    @property
    def is_open(self) -> bool:
        """Whether it is known who holds what."""
        return self._has_looked

    async def open(self) -> None:
        """Take what is free, before anything else begins. Raises `Unavailable`."""
        session = await self._closing.enter_async_context(self._database.session())
        for post in self._posts.values():
            if post.is_held or not self._has_looked:
                post.put(is_held=await session.try_lock(post.name))
        self._session, self._has_looked = session, True

    async def run(self) -> None:
        try:
            while True:
                try:
                    if self._session is None:
                        await self.open()
                    assert self._session is not None
                    await self._keep(self._session)
                    logger.warning("the session that holds the duties' locks is lost; opening another one")
                except errors.Unavailable as error:
                    logger.warning("the locks of duties can't be held now", error=str(error))
                await self.close()
                await asyncio.sleep(RETRY_SECONDS)
        finally:
            await self.close()

    async def _keep(self, session: Session) -> None:
        while not await session.lost(LOOK_SECONDS):
            for post in self._posts.values():
                if not post.is_held:
                    post.put(is_held=await session.try_lock(post.name))

    async def close(self) -> None:
        """Let every lock go."""
        self._session = None
        closing, self._closing = self._closing, AsyncExitStack()
        await closing.aclose()


class Duty:
    """A service that is done by the holder of a post alone."""

    def __init__(self, service: Service, post: Post):
        self.name = service.name
        self.service = service
        self._post = post

    async def run(self) -> None:
        while True:
            await self._post.taken()
            working = asyncio.ensure_future(self.service.run())
            leaving = asyncio.ensure_future(self._post.left())
            try:
                await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
                has_ended = working.done()
            finally:
                leaving.cancel()
                working.cancel()
                await asyncio.wait({working, leaving})
                if not working.cancelled():
                    working.result()
            if has_ended:
                return
