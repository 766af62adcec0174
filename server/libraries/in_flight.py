"""Places whose files Mismo itself is moving: what a scan sees there meanwhile is no news."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager


class InFlight:
    """(library directory, path) of files that are between two places on the disk, or between disk and database."""

    def __init__(self) -> None:
        self._places: Counter[tuple[str, bytes]] = Counter()

    @contextmanager
    def held(self, places: Iterable[tuple[str, bytes]]) -> Iterator[None]:
        """Hold places from before the disk is touched until the change is committed."""
        kept = list(places)
        self._places.update(kept)
        try:
            yield
        finally:
            self._places -= Counter(kept)

    def __contains__(self, place: tuple[str, bytes]) -> bool:
        return place in self._places
