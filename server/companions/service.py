"""All companions by name, for whoever asks about them or wants one started."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from server import errors
from server.companions.model import Status
from server.companions.supervisor import Supervised


class Action(StrEnum):
    START = "start"
    STOP = "stop"
    RESTART = "restart"


class CompanionService:
    def __init__(self, companions: Sequence[Supervised]):
        self._companions = {companion.definition.name: companion for companion in companions}

    def all(self) -> list[Status]:
        return [companion.status for companion in self._companions.values()]

    def get(self, name: str) -> Status:
        """Raises `NotFound`."""
        return self._companion(name).status

    def ask(self, name: str, action: Action) -> Status:
        """Ask for something to happen to a companion; its state changes soon after.

        Raises `NotFound`, and `Unmanaged` (409) for one that somebody else starts.
        """
        companion = self._companion(name)
        verbs = {Action.START: companion.start, Action.STOP: companion.stop, Action.RESTART: companion.restart}
        return verbs[action]()

    def _companion(self, name: str) -> Supervised:
        if name not in self._companions:
            raise errors.NotFound(f"there is no companion {name}; there are {', '.join(self._companions)}")
        return self._companions[name]
