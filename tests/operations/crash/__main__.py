"""All scenarios, or those that the command line names."""

from __future__ import annotations

import argparse
import gc
import logging
import sys
import time

import structlog

from tests.operations.crash.fault import CALLS, FAULTS, THREADS, Tally, scenarios
from tests.operations.crash.ground import missing_programs
from tests.operations.crash.trial import trial


def main() -> int:
    parser = argparse.ArgumentParser(
        description="Hit file operations at every file-system call, and judge the recovery"
    )
    parser.add_argument("--only", help="scenarios by their names, with commas between")
    parser.add_argument("--faults", default=",".join(FAULTS))
    parser.add_argument("--threads", default=",".join(THREADS))
    parser.add_argument("--calls", default=CALLS, help="only these system calls")
    parser.add_argument("--batch", type=int, default=50, help="files of the batch")
    parser.add_argument("--step", type=int, default=1, help="hit every n-th call only")
    given = parser.parse_args()
    reason = missing_programs()
    if reason is not None:
        print(f"crash_operations: not run, {reason}")  # noqa: T201
        return 2
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    gc.freeze()
    whole, began = Tally(), time.monotonic()
    for scenario in scenarios(given.batch):
        if given.only is None or scenario.name in given.only.split(","):
            with trial(scenario, Tally()) as one:
                one.all_faults(given.faults.split(","), given.threads.split(","), given.calls.split(","), given.step)
            print(summary(scenario.name, one.tally, began), flush=True)  # noqa: T201
            whole.add(one.tally)
    print(summary("crash_operations", whole, began))  # noqa: T201
    return 1 if whole.problems else 0


def summary(name: str, tally: Tally, began: float) -> str:
    hits = ", ".join(f"{fault} {count}" for fault, count in tally.faults.items())
    return (
        f"{name}: {tally.runs} runs, {tally.faults.total()} faults ({hits}),"
        f" {len(tally.problems)} problems, {time.monotonic() - began:.0f} s"
    )


if __name__ == "__main__":
    sys.exit(main())
