"""An empty library for tests of the tracks."""

from __future__ import annotations

import pytest

from tests.support.application import Running
from tests.tracks.shelf import Shelf


@pytest.fixture
async def shelf(mismo: Running) -> Shelf:
    shelf = Shelf(mismo)
    await shelf.open()
    return shelf
