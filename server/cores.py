"""Which processor cores the background may use: all but one, while somebody on a stage waits for answers.

To be nice isn't enough: on two cores that niced scans keep busy, who wakes up waits some ms for one now and then.
Linux only (sched_setaffinity(2)); elsewhere, and on one core, nothing is kept free.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

_PROCESSES = Path("/proc")


class Cores:
    """Processes `enter` when they start and `leave` when they have ended; what they start themselves counts, too."""

    def __init__(self) -> None:
        self._all: set[int] = set(os.sched_getaffinity(0)) if sys.platform == "linux" else set()
        self._in_background: set[int] = set()
        self._is_one_kept = False

    @property
    def of_background(self) -> set[int]:
        """The numbers of the cores that the background may use now."""
        return self._all - {min(self._all)} if self._is_one_kept and len(self._all) > 1 else self._all

    def enter(self, process_id: int) -> None:
        self._in_background.add(process_id)
        if self._is_one_kept:
            self._confine([process_id])

    def leave(self, process_id: int) -> None:
        self._in_background.discard(process_id)

    def keep_one(self, is_wanted: bool) -> None:
        """Keep a core free from now on, or no longer."""
        if is_wanted is not self._is_one_kept:
            self._is_one_kept = is_wanted
            self._confine(self._in_background)

    def _confine(self, process_ids: Iterable[int]) -> None:
        if sys.platform != "linux":
            return
        cores, done = self.of_background, set[int]()
        # Again until nothing is new: what was started meanwhile has the cores of who started it, as they were.
        while todo := {thread for process_id in process_ids for thread in _threads(process_id)} - done:
            for thread in todo:
                with suppress(OSError):  # it has ended, or somebody else says where it works
                    os.sched_setaffinity(thread, cores)
            done |= todo


def _threads(process_id: int) -> list[int]:
    """Those of a process and of all that it has started."""
    try:
        threads = [int(entry.name) for entry in (_PROCESSES / str(process_id) / "task").iterdir()]
        children = [
            int(child)
            for thread in threads
            for child in (_PROCESSES / str(process_id) / "task" / str(thread) / "children").read_text().split()
        ]
    except OSError:
        return []  # it has ended
    return threads + [thread for child in children for thread in _threads(child)]
