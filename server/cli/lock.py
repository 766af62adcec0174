"""One Mismo for each SQLite file: the second one says so, instead of fighting over it."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager

from server import errors
from server.config import Config


class AlreadyRunning(errors.StartupError):
    """Another Mismo works on this database."""


@contextmanager
def only_one(config: Config) -> Iterator[None]:
    """Hold the database's lock file; raises `AlreadyRunning`. On PostgreSQL any number may work together."""
    if config.is_postgres:
        yield
        return
    path = config.sqlite_path.with_name(config.sqlite_path.name + ".lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise AlreadyRunning(f"another Mismo works on {config.sqlite_path}") from None
            yield
    except PermissionError as error:
        raise errors.StartupError(f"can't write beside the database: {error}") from error
