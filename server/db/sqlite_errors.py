"""The one place where sqlite3's exceptions become Mismo's."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from server import errors


@contextmanager
def translated() -> Iterator[None]:
    """Raise a sqlite3 exception of the block as the class of `server.errors` that it is."""
    try:
        yield
    except sqlite3.IntegrityError as error:
        if "UNIQUE" in str(error) or "PRIMARY KEY" in str(error):
            raise errors.UniqueViolation() from error
        raise
    except sqlite3.OperationalError as error:
        # The low byte of the code is its kind; the rest says where it happened.
        kind = _KINDS.get(error.sqlite_errorcode & 0xFF)
        if error.sqlite_errorcode in _NO_SPACE_FOR_THE_INDEX:
            kind = errors.DiskFull
        if kind is None:
            raise
        raise kind() from error


_KINDS: dict[int, type[errors.MismoError]] = {
    sqlite3.SQLITE_FULL: errors.DiskFull,
    sqlite3.SQLITE_BUSY: errors.DatabaseBusy,
    sqlite3.SQLITE_LOCKED: errors.DatabaseBusy,
    sqlite3.SQLITE_CANTOPEN: errors.DatabaseDown,
    sqlite3.SQLITE_READONLY: errors.DatabaseDown,
    sqlite3.SQLITE_IOERR: errors.DatabaseDown,
}
# WAL's shared index can't grow on a full disk; SQLite reports that as a failure to read or write.
_NO_SPACE_FOR_THE_INDEX = (sqlite3.SQLITE_IOERR_SHMSIZE, sqlite3.SQLITE_IOERR_SHMMAP)
