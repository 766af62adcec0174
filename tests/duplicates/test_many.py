"""The quick form of `scripts/resolve_duplicates`."""

from __future__ import annotations

from pathlib import Path

from tests.duplicates.storm import resolve_and_undo
from tests.support.application import Running


async def test_random_groups_resolved_and_undone_leave_all_as_it_was(mismo: Running, music: Path) -> None:
    count = await resolve_and_undo(mismo, music, groups=30, seed=7)
    assert count["deletions"] == count["files brought back"] > 0
    assert count["merged values"] > 0
