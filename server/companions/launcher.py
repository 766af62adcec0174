"""Runs a command so that nothing of it outlives Mismo: `python launcher.py PARENT GRACE COMMAND…`.

A process of its own between Mismo and the command. The kernel tells it when Mismo dies, however that happened
(`PR_SET_PDEATHSIG`, prctl(2)), and it ends the whole process group of the command: SIGTERM, and SIGKILL after GRACE
seconds. The command itself dies with the launcher. Only the standard library, since it runs with `-I -S`.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from collections.abc import Sequence

_PR_SET_PDEATHSIG = 1
NOT_FOUND = 127
"""Exit status of a command that couldn't be started, as in a shell."""
_WATCHED = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)


def main(arguments: Sequence[str]) -> int:
    parent, grace, command = int(arguments[0]), float(arguments[1]), arguments[2:]
    libc = ctypes.CDLL(None)
    # Blocked before the parent is looked at: a signal that comes from here on waits for sigwait.
    signal.pthread_sigmask(signal.SIG_BLOCK, _WATCHED)
    _die_with_parent(libc, signal.SIGTERM, parent)
    own = os.getpid()
    child = os.fork()
    if child == 0:
        os.setsid()
        _die_with_parent(libc, signal.SIGKILL, own)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _WATCHED)
        try:
            os.execvp(command[0], list(command))  # noqa: S606 # the operator's own command
        except OSError as error:
            print(f"can't start {command[0]}: {error.strerror}", file=sys.stderr, flush=True)  # noqa: T201
            os._exit(NOT_FOUND)
    return _watch(child, grace)


def _die_with_parent(libc: ctypes.CDLL, how: signal.Signals, parent: int) -> None:
    libc.prctl(_PR_SET_PDEATHSIG, int(how), 0, 0, 0)
    # A parent that died before prctl sends nothing any more.
    if os.getppid() != parent:
        os._exit(NOT_FOUND)


def _watch(child: int, grace: float) -> int:
    """Wait for the end of the child, or end it when told to; what it leaves behind in its group is killed."""
    deadline: float | None = None
    while True:
        status = _ended(child)
        if status is not None:
            _signal_group(child, signal.SIGKILL)
            return status if status >= 0 else 128 - status
        if deadline is None:
            if signal.sigwait(_WATCHED) != signal.SIGCHLD:
                _signal_group(child, signal.SIGTERM)
                deadline = time.monotonic() + grace
        elif (left := deadline - time.monotonic()) > 0:
            signal.sigtimedwait({signal.SIGCHLD}, left)
        else:
            _signal_group(child, signal.SIGKILL)
            signal.sigwait({signal.SIGCHLD})


def _ended(child: int) -> int | None:
    pid, status = os.waitpid(child, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if pid else None


def _signal_group(leader: int, number: signal.Signals) -> None:
    try:
        os.killpg(leader, number)
    except ProcessLookupError:
        return  # it has no member left


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
