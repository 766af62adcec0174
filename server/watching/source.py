"""Where news of changes come from: the operating system through watchfiles, or looking again and again."""

from __future__ import annotations

import asyncio
import math
import os
from collections.abc import AsyncIterator
from typing import Protocol

import watchfiles
from watchfiles import Change

from server.watching.news import ANYTHING, News
from server.watching.polling import polled

# Changes that come within so many milliseconds of each other are one piece of news.
DEBOUNCE_MS = 200
STEP_MS = 50
# Longer than it takes to look through a large library.
AGAIN_SECONDS = 300.0


class CannotWatch(Exception):
    """The operating system won't tell of changes here; the text says why."""


class Source(Protocol):
    """A stream of news about one directory, the first of them empty; it ends only by being cancelled."""

    def news(self, root: bytes, *, is_recursive: bool, is_polling: bool) -> AsyncIterator[list[News]]: ...


class FileSystemSource:
    """watchfiles where the operating system tells of changes, else polling."""

    async def news(self, root: bytes, *, is_recursive: bool, is_polling: bool) -> AsyncIterator[list[News]]:
        """An empty list as soon as it listens, then the news. Raises `CannotWatch`."""
        if is_polling:
            try:
                async for news in polled(root, is_recursive=is_recursive):
                    yield news
            except OSError as failed:
                raise CannotWatch(failed.strerror or str(failed)) from failed
            return
        try:
            place = root.decode()
        except UnicodeDecodeError:
            raise CannotWatch("its path isn't UTF-8") from None
        loop, failed_at = asyncio.get_running_loop(), -math.inf
        while True:
            try:
                async for changes in _changes(place, is_recursive=is_recursive):
                    yield [
                        News(_relative(root, os.fsencode(path)), kind is Change.deleted, kind is Change.added)
                        for kind, path in changes
                    ]
            except (OSError, RuntimeError, ExceptionGroup) as raised:  # watchfiles' own error is a RuntimeError
                error = _first(raised)
                if not isinstance(error, (OSError, RuntimeError)):
                    raise
                if not _is_undecodable(error):
                    raise CannotWatch(str(error)) from error
            # watchfiles gives up a whole batch of news for one name that isn't UTF-8. It does so, too, when such a
            # folder is only opened, and looking through everything opens it: that would never come to an end.
            if loop.time() - failed_at < AGAIN_SECONDS:
                raise CannotWatch("there are names in it that aren't UTF-8")
            failed_at = loop.time()
            yield [ANYTHING]


async def _changes(place: str, *, is_recursive: bool) -> AsyncIterator[set[tuple[Change, str]]]:
    stream = watchfiles.awatch(
        place,
        watch_filter=None,
        debounce=DEBOUNCE_MS,
        step=STEP_MS,
        force_polling=False,
        recursive=is_recursive,
        ignore_permission_denied=True,
    )
    upcoming = asyncio.ensure_future(anext(stream))
    try:
        await asyncio.sleep(0)  # its first step sets up the watch, before it waits for anything
        if not upcoming.done():
            yield set()
        while True:
            changes = await upcoming
            upcoming = asyncio.ensure_future(anext(stream))
            yield changes
    finally:
        upcoming.cancel()
        await asyncio.wait([upcoming])


def _is_undecodable(error: BaseException) -> bool:
    return str(error).startswith("Unable to decode path")


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _relative(root: bytes, path: bytes) -> bytes:
    prefix = root.rstrip(b"/")
    return path[len(prefix) :].lstrip(b"/") if path.startswith(prefix) else b""
