"""News by looking again and again, where the operating system tells nothing: network and FUSE mounts, or no inotify.

In Python, and not by watchfiles' own polling: that looks at all files under the interpreter's lock, so that one call
which hangs in a dead mount would stop the whole server.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from functools import partial

import xxhash

from server.scanning.walk import is_system_folder
from server.threads import DaemonThreads
from server.watching.news import News
from server.watching.settling import is_audio

DELAY_SECONDS = 2.0
SHARE = 3  # it rests three times as long as a look took


@dataclass(slots=True)
class Listing:
    """One folder: its audio files, and a digest of their names, sizes, times and inodes; nothing else is kept."""

    digest: int
    files: list[bytes] = field(default_factory=list)


class Stopped(Exception):
    """Nobody listens any more."""


@dataclass(slots=True)
class Poller:
    """Looks at a tree (blocking), and says what differs from the last look. Memory is a number for each folder."""

    root: bytes
    is_recursive: bool
    stop: threading.Event = field(default_factory=threading.Event)
    _seen: dict[bytes, int] = field(default_factory=dict)

    def look(self, *, is_first: bool = False) -> list[News]:
        """Raises OSError when the root can't be listed, and `Stopped`."""
        seen: dict[bytes, int] = {}
        news: list[News] = []
        unknown: list[bytes] = []
        for folder, listing in self._walk(b"", unknown):
            seen[folder] = listing.digest
            if is_first or self._seen.get(folder) == listing.digest:
                continue
            if folder not in self._seen:
                news.append(News(folder, is_new=True))
                continue
            news.append(News(folder, is_listing=True))
            news += [News(path) for path in listing.files]
        for folder, digest in self._seen.items():
            if folder not in seen:
                if any(folder == other or folder.startswith(other + b"/") for other in unknown):
                    seen[folder] = digest  # it couldn't be looked into
                else:
                    news.append(News(folder, is_gone=True))
        self._seen = seen
        return news

    def _walk(self, folder: bytes, unknown: list[bytes]) -> Iterator[tuple[bytes, Listing]]:
        if self.stop.is_set():
            raise Stopped
        try:
            with os.scandir(os.path.join(self.root, folder)) as entries:
                found = sorted(entries, key=lambda entry: entry.name)
        except OSError:
            if not folder:
                raise
            unknown.append(folder)
            return
        digest = xxhash.xxh3_64()
        listing = Listing(0)
        folders = []
        for entry in found:
            path = os.path.join(folder, entry.name)
            try:
                if entry.is_dir(follow_symlinks=False):
                    if self.is_recursive and not is_system_folder(entry.name):
                        folders.append(path)
                elif is_audio(entry.name):
                    status = entry.stat()
                    listing.files.append(path)
                    facts = (status.st_size, status.st_mtime_ns, status.st_ino)
                    digest.update(entry.name + repr(facts).encode())
            except OSError:
                continue
        listing.digest = digest.intdigest()
        yield folder, listing
        for path in folders:
            yield from self._walk(path, unknown)


async def polled(root: bytes, *, is_recursive: bool) -> AsyncIterator[list[News]]:
    """An empty list after the first look, then what has changed. Raises OSError. It ends at once, whatever hangs."""
    poller = Poller(root, is_recursive)
    loop = asyncio.get_running_loop()
    thread = DaemonThreads(1, "polling")
    try:
        with contextlib.suppress(Stopped):
            is_first = True
            while True:
                began = loop.time()
                news = await loop.run_in_executor(thread, partial(poller.look, is_first=is_first))
                if news or is_first:
                    yield news
                is_first = False
                await asyncio.sleep(max(DELAY_SECONDS, (loop.time() - began) * SHARE))
    finally:
        poller.stop.set()
        thread.shutdown()
