"""What a command prints: lines for a person on a terminal, JSON lines for a program behind a pipe."""

from __future__ import annotations

import sys
from typing import Any

import orjson


def say(text: str = "") -> None:
    print(text, flush=True)  # noqa: T201 # the one place where commands write to standard output


def say_json(value: Any) -> None:
    say(orjson.dumps(value).decode())


def is_terminal() -> bool:
    return sys.stdout.isatty()
