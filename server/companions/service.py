"""All companions by name, for whoever asks about them or wants one started."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from server import errors
from server.companions.model import Status
from server.companions.supervisor import Supervised
from server.events.signals import Signals

SIGNAL = "companion"


class Action(StrEnum):
    START = "start"
    STOP = "stop"
    RESTART = "restart"


class CompanionService:
    """Where several servers share a library, what is asked of one reaches all of them: one has the process."""

    def __init__(self, companions: Sequence[Supervised], signals: Signals):
        self._companions = {companion.definition.name: companion for companion in companions}
        self._signals = signals
        signals.on(SIGNAL, self._hear)

    async def all(self) -> list[Status]:
        return [await companion.look() for companion in self._companions.values()]

    async def get(self, name: str) -> Status:
        """Raises `NotFound`."""
        return await self._companion(name).look()

    async def ask(self, name: str, action: Action) -> Status:
        """Ask for something to happen to a companion; its state changes soon after.

        Raises `NotFound`, and `Unmanaged` (409) for one that somebody else starts.
        """
        companion = self._companion(name)
        companion.demand_managed()
        await self._signals.send(SIGNAL, f"{name} {action}")
        return await companion.look()

    def _hear(self, words: str) -> None:
        name, action = words.split(" ")
        companion = self._companions.get(name)
        if companion is None or companion.definition.command is None:
            return  # only the process that asked has it in its settings
        verbs = {Action.START: companion.start, Action.STOP: companion.stop, Action.RESTART: companion.restart}
        verbs[Action(action)]()

    def _companion(self, name: str) -> Supervised:
        if name not in self._companions:
            raise errors.NotFound(f"there is no companion {name}; there are {', '.join(self._companions)}")
        return self._companions[name]
