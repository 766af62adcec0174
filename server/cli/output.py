"""What a command prints: lines for a person on a terminal, JSON lines for a program behind a pipe."""

from __future__ import annotations

import sys
from typing import Any

import orjson


def say(text: str = "") -> None:
    """A line on standard output. What a file system calls a file may not be UTF-8; it is shown, not tripped over."""
    print(text.encode(errors="replace").decode(), flush=True)  # noqa: T201 # the one place where commands write to it


def say_json(value: Any) -> None:
    say(orjson.dumps(value).decode())


def complain(text: str) -> None:
    """A line on standard error: it isn't part of the result."""
    print(f"mismo: {text}", file=sys.stderr, flush=True)  # noqa: T201


def is_terminal() -> bool:
    return sys.stdout.isatty()
