"""A server that is killed during a scan leaves a sound library behind; `scripts/kill_scan` is the long form."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import IS_POSTGRES
from tests.scanning.killing import loop
from tests.support import sound


@pytest.mark.skipif(IS_POSTGRES, reason="not for PostgreSQL: the file of SQLite is looked at")
async def test_killed_scans_leave_a_sound_database_and_the_next_one_completes(
    music: Path, template: str, tmp_path: Path
) -> None:
    for number in range(800):
        sound.mp3(music / f"{number % 7}" / f"{number}.mp3", number, frames=1, TIT2=f"Title {number}")
    database = tmp_path / "library.db"
    database.write_bytes(Path(template).read_bytes())  # noqa: ASYNC240 # a test may block its own loop
    rows = await loop(music, database, kills=4, seed=3)
    assert rows == sorted(rows)
    assert rows[-1] == 800
