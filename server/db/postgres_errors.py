"""The one place where asyncpg's exceptions become Mismo's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg

from server import errors


@contextmanager
def translated() -> Iterator[None]:
    """Raise an asyncpg exception of the block as the class of `server.errors` that it is."""
    try:
        yield
    except asyncpg.UniqueViolationError as error:
        raise errors.UniqueViolation() from error
    except asyncpg.DiskFullError as error:
        raise errors.DiskFull() from error
    except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError, asyncpg.TooManyConnectionsError) as error:
        raise errors.DatabaseBusy() from error
    except (
        asyncpg.PostgresConnectionError,
        asyncpg.CannotConnectNowError,
        asyncpg.AdminShutdownError,
        asyncpg.CrashShutdownError,
        asyncpg.IdleInTransactionSessionTimeoutError,
        OSError,
    ) as error:
        raise errors.DatabaseDown() from error
    except asyncpg.InternalClientError as error:
        # The server's farewell reached an idle connection, of which asyncpg can make no sense.
        raise errors.DatabaseDown() from error
    except asyncpg.InterfaceError as error:
        # asyncpg's own complaints: about wrong arguments, or about a connection that was lost before this statement.
        if any(words in str(error) for words in ("closed", "closing", "released back to the pool")):
            raise errors.DatabaseDown() from error
        raise
