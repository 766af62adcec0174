"""Whether the server can work: each part that it needs, with its state."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from server import errors, log

logger = log.get(__name__)
TIMEOUT_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Check:
    """One dependency. `probe` raises when it is down; without `is_required` the server goes on."""

    name: str
    probe: Callable[[], Awaitable[str]]
    is_required: bool = True


@dataclass(frozen=True, slots=True)
class State:
    name: str
    is_up: bool
    detail: str
    is_required: bool

    def as_json(self) -> dict[str, object]:
        return {"state": "ok" if self.is_up else "down", "detail": self.detail, "is_required": self.is_required}


async def look(checks: Sequence[Check]) -> list[State]:
    """The state of each part, asked all at once: one that hangs doesn't keep the others from being shown."""
    return list(await asyncio.gather(*[_look(check) for check in checks]))


async def _look(check: Check) -> State:
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            return State(check.name, True, await check.probe(), check.is_required)
    except TimeoutError:
        detail = f"no answer in {TIMEOUT_SECONDS:g} s"
    except errors.MismoError as error:
        detail = error.detail
    except Exception:  # a dependency may fail in ways nobody foresaw; health is where that must show
        logger.exception("a health check failed", check=check.name)
        detail = "failed; the log says why"
    return State(check.name, False, detail, check.is_required)
