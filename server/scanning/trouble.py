"""What ends a scan before its time."""

from __future__ import annotations

from server import errors


class DirectoryWentAway(Exception):
    """The library directory can't be reached any more; what it held is as it was."""


class TakenOver(Exception):
    """The scan was ended by another process, to which this one must have looked dead."""


class ScanFailed(Exception):
    """The scan failed in the scanning process, for the reason that the words of this give."""


class Outdated(errors.Unavailable):
    """Another version of Mismo was installed while this one ran: the server must be restarted."""

    code = "restart_needed"


# What may happen to any scan; everything else is a fault of the program.
EXPECTED = (DirectoryWentAway, TakenOver, ScanFailed, errors.MismoError, OSError)


def first_of(error: BaseException) -> BaseException:
    """What went wrong first, in a scan's group of tasks."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
