"""A companion as the supervisor knows it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from server.clock import to_rfc3339
from server.companions.health import Health


class State(StrEnum):
    """`unmanaged`: somebody else starts it; `waiting`: it crashed and starts again soon; `failed`: it stays down."""

    UNMANAGED = "unmanaged"
    STOPPED = "stopped"
    STARTING = "starting"
    RUNNING = "running"
    WAITING = "waiting"
    STOPPING = "stopping"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Definition:
    """What to start; `command` is None when it is managed elsewhere. `url` is where it is reached.

    `is_own`: a process of Mismo's, which works in the background.
    """

    name: str
    url: str
    command: Sequence[str] | None
    health: Health
    is_own: bool = False


@dataclass(frozen=True, slots=True)
class Status:
    """`restarts` since Mismo's start; `since` in Unix milliseconds; `pid` of the launcher while there is one."""

    name: str
    url: str
    state: State
    restarts: int
    detail: str | None
    pid: int | None
    since: int

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "url": self.url,
            "state": self.state,
            "restarts": self.restarts,
            "detail": self.detail,
            "pid": self.pid,
            "since": to_rfc3339(self.since),
        }
