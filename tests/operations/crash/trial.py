"""One scenario, its faults one after the other, and what a new start makes of each."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from tests.operations.crash import process
from tests.operations.crash.fault import CALLS, Fault, Scenario, Tally
from tests.operations.crash.ground import Ground, ground
from tests.operations.crash.judge import Judge
from tests.operations.crash.server import served, wait_for_threads


@dataclass(slots=True)
class Trial:
    """`prepared`: the operations that were done in peace, whose undo is disturbed."""

    place: Ground
    scenario: Scenario
    prepared: list[str]
    judge: Judge
    tally: Tally

    def all_faults(self, faults: Sequence[str], threads: Sequence[str], chosen: Sequence[str], step: int) -> None:
        """Every k of every chosen call of every thread, or every `step`-th."""
        for thread in threads:
            calls = [call for call in self.calls_of(thread) if call in chosen]
            for what in faults:
                for call in calls:
                    k = 1
                    while self.one(Fault(what, thread, call, k)):
                        k += step

    def calls_of(self, thread: str) -> list[str]:
        """The names of the calls that a thread makes in an undisturbed run, in the order of their first use."""
        seen = self.disturbed(Fault("EIO", thread, "openat", 60_000))
        calls = dict.fromkeys(line.split("(", 1)[0] for line in seen.splitlines() if "(" in line)
        own = [call for call in calls if call in CALLS.split(",")]
        return [call for call in own if not (self.scenario.without_renameat2 and call == "renameat2")]

    def one(self, fault: Fault) -> bool:
        """Whether there was anything to hit. What is wrong afterwards goes to the tally."""
        seen = self.disturbed(fault)
        self.tally.runs += 1
        before = self.judge.state()
        self._start()
        problems = self.judge.problems()
        state = self.judge.state()
        if state != before:
            self._start()
            if self.judge.state() != state:
                problems.append("a second start changed something")
        where = f"{self.scenario.name}: {fault}"
        self.tally.problems += [f"{where}: {problem}" for problem in problems]
        if problems:
            print(where, *problems, seen[-1500:], sep="\n  ", file=sys.stderr)  # noqa: T201
        happened = fault.is_seen_in(seen)
        if happened:
            self.tally.faults[fault.what] += 1
        return happened

    def disturbed(self, fault: Fault) -> str:
        """Do the scenario from the kept state on, with the fault; what strace saw of it."""
        self.place.restore()
        options = ["-e", f"trace={CALLS}", "-e", fault.injection]
        if self.scenario.without_renameat2:
            options += ["-e", "inject=renameat2:error=EINVAL"]
        wait_for_threads()
        return process.under_strace(lambda gate: self._do(gate, fault.thread), self.place.base, options)

    async def _do(self, gate: process.Gate, thread: str) -> None:
        async with served(self.place) as server:
            await gate.passed(server.thread_id(thread))
            if self.scenario.is_undo:
                await server.undo(self.prepared)
            else:
                await server.ask(self.place, self.scenario)
            await server.until_idle()

    def _start(self) -> None:
        asyncio.run(_started(self.place))


async def _started(place: Ground) -> None:
    async with served(place) as server:
        await server.until_idle()


@contextmanager
def trial(scenario: Scenario, tally: Tally) -> Iterator[Trial]:
    with ground(max(3, scenario.files)) as place:
        prepared = process.in_child(lambda: _prepared(place, scenario))
        place.keep()
        yield Trial(place, scenario, prepared, Judge(place), tally)


async def _prepared(place: Ground, scenario: Scenario) -> list[str]:
    if not scenario.is_undo:
        return []
    async with served(place) as server:
        ids = await server.ask(place, scenario)
        await server.until_idle()
    return ids
