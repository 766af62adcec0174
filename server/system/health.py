"""Whether the server can work: each part that it needs, with its state."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from server import errors


@dataclass(frozen=True, slots=True)
class Check:
    """One dependency. `probe` raises `MismoError` when it is down; without `is_required` the server goes on."""

    name: str
    probe: Callable[[], Awaitable[str]]
    is_required: bool = True


async def look(checks: list[Check]) -> tuple[bool, dict[str, Any]]:
    """Whether everything that is required works, and the state of each part."""
    states: dict[str, Any] = {}
    is_ready = True
    for check in checks:
        try:
            states[check.name] = {"state": "ok", "detail": await check.probe(), "is_required": check.is_required}
        except errors.MismoError as error:
            states[check.name] = {"state": "down", "detail": error.detail, "is_required": check.is_required}
            is_ready = is_ready and not check.is_required
    return is_ready, states
