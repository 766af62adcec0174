"""Where news of changes come from: the operating system through watchfiles, or looking again and again."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

import watchfiles
from watchfiles import Change

# Changes that come within so many milliseconds of each other are one piece of news.
DEBOUNCE_MS = 200
STEP_MS = 50
POLL_DELAY_MS = 2000


class CannotWatch(Exception):
    """The operating system won't tell of changes here; the text says why."""


@dataclass(frozen=True, slots=True)
class News:
    """A path relative to the directory (`b""` is its root), and whether it was said to be gone."""

    path: bytes
    is_gone: bool
    is_new: bool


class Source(Protocol):
    """A stream of news about one directory, the first of them empty; it ends only by being cancelled."""

    def news(self, root: bytes, *, is_recursive: bool, is_polling: bool) -> AsyncIterator[list[News]]: ...


class WatchfilesSource:
    async def news(self, root: bytes, *, is_recursive: bool, is_polling: bool) -> AsyncIterator[list[News]]:
        """An empty list as soon as it listens, then the news. Raises `CannotWatch`."""
        try:
            place = root.decode()
        except UnicodeDecodeError:
            raise CannotWatch("its path isn't UTF-8") from None
        stream = watchfiles.awatch(
            place,
            watch_filter=None,
            debounce=DEBOUNCE_MS,
            step=STEP_MS,
            force_polling=is_polling,
            poll_delay_ms=POLL_DELAY_MS,
            recursive=is_recursive,
            ignore_permission_denied=True,
        )
        upcoming = asyncio.ensure_future(anext(stream))
        try:
            await asyncio.sleep(0)  # its first step sets up the watch, before it waits for anything
            if not upcoming.done():
                yield []
            while True:
                changes = await upcoming
                upcoming = asyncio.ensure_future(anext(stream))
                yield [
                    News(_relative(root, os.fsencode(path)), kind is Change.deleted, kind is Change.added)
                    for kind, path in changes
                ]
        except (OSError, RuntimeError) as error:  # watchfiles' own error is a RuntimeError
            raise CannotWatch(str(error)) from error
        finally:
            upcoming.cancel()
            await asyncio.wait([upcoming])


def _relative(root: bytes, path: bytes) -> bytes:
    prefix = root.rstrip(b"/")
    return path[len(prefix) :].lstrip(b"/") if path.startswith(prefix) else b""
