"""An empty library for tests of the tracks."""

from __future__ import annotations

import math

import pytest

from server.tracks import service
from tests.support.application import Running
from tests.tracks.shelf import Shelf


@pytest.fixture
async def shelf(mismo: Running, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    # On a busy machine every count may be a slow one, whose total may be answered again for a moment.
    monkeypatch.setattr(service, "SLOW_COUNT_SECONDS", math.inf)
    shelf = Shelf(mismo)
    await shelf.open()
    return shelf
