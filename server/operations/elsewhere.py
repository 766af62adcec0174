"""Files that another process on this database is moving: this one's scans are to look away from them, too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any

from server.events.model import Entry, Transient
from server.libraries.in_flight import InFlight
from server.operations import events

_ENDS = {events.OperationComplete.name, events.OperationFailed.name}


class Elsewhere:
    """Listens to the log, and holds the places of an operation from its start to its end.

    The process that works on it holds them itself, from earlier to later; held twice does no harm.
    """

    def __init__(self, in_flight: InFlight):
        self._in_flight = in_flight
        self._held: dict[str, ExitStack] = {}

    def recorded(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            if entry.name == events.OperationStarted.name:
                operation = entry.data["operation"]
                self._let_go(operation["id"])
                self._held[operation["id"]] = held = ExitStack()
                held.enter_context(self._in_flight.held(_places(operation)))
            elif entry.name in _ENDS:
                self._let_go(entry.data["operation"]["id"])

    def transient(self, event: Transient, ts: int) -> None:
        """Progress is no end."""

    def _let_go(self, operation_id: str) -> None:
        held = self._held.pop(operation_id, None)
        if held is not None:
            held.close()


def _places(operation: Mapping[str, Any]) -> list[tuple[str, bytes]]:
    return [
        (place["library_directory_id"], place["path"].encode())
        for place in (operation["from"], operation["to"])
        if place is not None
    ]
