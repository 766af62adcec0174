"""The quick form of `scripts/crash_operations`: some scenarios, hit at some of their calls."""

from __future__ import annotations

import pytest

from tests.conftest import IS_POSTGRES
from tests.operations.crash.fault import Fault, Tally, scenarios
from tests.operations.crash.ground import missing_programs
from tests.operations.crash.trial import trial


@pytest.mark.slow
@pytest.mark.skipif(IS_POSTGRES, reason="not for PostgreSQL: knows its own SQLite file")
@pytest.mark.parametrize(
    ("name", "thread", "call", "fault"),
    [
        ("move across", "disk", "renameat2", "KILL"),
        ("move across", "disk", "unlinkat", "KILL"),
        ("move across", "disk", "fsync", "EIO"),
        ("move across", "disk", "write", "ENOSPC"),
        ("move", "database", "fdatasync", "KILL"),
        ("batch", "disk", "renameat2", "KILL"),
        ("delete", "disk", "renameat2", "EIO"),
        ("restore", "disk", "unlinkat", "KILL"),
        ("rename by link", "disk", "unlinkat", "KILL"),
    ],
)
def test_interrupted_operation_is_finished_or_taken_back_at_the_next_start(
    name: str, thread: str, call: str, fault: str
) -> None:
    reason = missing_programs()
    if reason is not None:
        pytest.skip(reason)
    (scenario,) = [item for item in scenarios(3) if item.name == name]
    with trial(scenario, Tally()) as one:
        for k in (1, 2):
            if not one.one(Fault(fault, thread, call, k)):
                break
    assert one.tally.problems == []
    assert one.tally.faults[fault] > 0
