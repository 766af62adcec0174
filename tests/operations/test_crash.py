"""The quick form of `scripts/crash_operations`: one scenario, killed at some of its calls."""

from __future__ import annotations

import pytest

from tests.conftest import IS_POSTGRES
from tests.operations import crash


@pytest.mark.slow
@pytest.mark.skipif(IS_POSTGRES, reason="not for PostgreSQL: knows its own SQLite file")
@pytest.mark.parametrize(
    ("name", "call", "fault"),
    [
        ("move across", "renameat2", "KILL"),
        ("move across", "unlinkat", "KILL"),
        ("move across", "fsync", "EIO"),
        ("move across", "write", "ENOSPC"),
        ("batch", "renameat2", "KILL"),
        ("delete", "renameat2", "EIO"),
        ("restore", "unlinkat", "KILL"),
        ("rename by link", "unlinkat", "KILL"),
    ],
)
def test_interrupted_operation_is_finished_or_taken_back_at_the_next_start(name: str, call: str, fault: str) -> None:
    reason = crash.missing_programs()
    if reason is not None:
        pytest.skip(reason)
    (scenario,) = [item for item in crash.scenarios(3) if item.name == name]
    tally = crash.Tally()
    with crash.ground(3) as place:
        judge = crash.Judge(place)
        for k in (1, 2):
            if not crash.one_run(place, scenario, crash.Fault(fault, "disk", call, k), judge, tally):
                break
    assert tally.problems == []
    assert tally.faults[fault] > 0
