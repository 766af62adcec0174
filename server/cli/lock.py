"""One Mismo for each SQLite file: the second one says so, and learns where the first one listens."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from server import errors
from server.config import Config


class AlreadyRunning(errors.StartupError):
    """Another Mismo works on this database. `url` is where it listens, or empty while it serves nobody."""

    def __init__(self, message: str, url: str):
        super().__init__(message)
        self.url = url


class Lock:
    """A held lock file. It is empty, or says at which URL its holder listens."""

    def __init__(self, file: TextIO | None):
        self._file = file

    def announce(self, url: str) -> None:
        if self._file is not None:
            self._file.truncate(0)
            self._file.seek(0)
            self._file.write(url)
            self._file.flush()


@contextmanager
def only_one(config: Config) -> Iterator[Lock]:
    """Hold the database's lock; raises `AlreadyRunning`. On PostgreSQL any number may work together."""
    if config.is_postgres:
        yield Lock(None)
        return
    path = config.sqlite_path.with_name(config.sqlite_path.name + ".lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Not truncated on opening: what the holder has written must stay.
        file = path.open("a+", encoding="utf-8")
    except OSError as error:
        raise errors.StartupError(f"can't write beside the database: {error}") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            url = _url_in(path)
            where = f", at {url}" if url else ""
            raise AlreadyRunning(f"another Mismo works on {config.sqlite_path}{where}", url) from None
        lock = Lock(file)
        lock.announce("")
        try:
            yield lock
        finally:
            lock.announce("")


def _url_in(path: Path) -> str:
    return path.read_text(encoding="utf-8").strip()
