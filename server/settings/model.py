"""Every setting: its type, its default, its limits, and one line of why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from server import errors

MAX_JSON_BYTES = 64 * 1024


class Kind(StrEnum):
    STRING = "string"
    INT = "int"
    FLOAT = "float"
    BOOL = "bool"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class Setting:
    """`minimum` and `maximum` bound a number, or the length of a string."""

    key: str
    kind: Kind
    default: Any
    description: str
    minimum: float | None = None
    maximum: float | None = None

    def check(self, value: Any) -> Any:
        """The value as it is stored; raises `Invalid` when it has another type or lies outside the limits."""
        if not _IS[self.kind](value):
            raise errors.Invalid.field("value", f"must be {_SAID[self.kind]}")
        size = len(value) if self.kind is Kind.STRING else value
        if isinstance(size, (int, float)) and not isinstance(size, bool):
            if self.minimum is not None and size < self.minimum:
                raise errors.Invalid.field("value", f"must be at least {self.minimum:g}")
            if self.maximum is not None and size > self.maximum:
                raise errors.Invalid.field("value", f"must be at most {self.maximum:g}")
        return float(value) if self.kind is Kind.FLOAT else value


_IS: dict[Kind, Callable[[Any], bool]] = {
    Kind.STRING: lambda value: isinstance(value, str),
    Kind.INT: lambda value: isinstance(value, int) and not isinstance(value, bool),
    Kind.FLOAT: lambda value: isinstance(value, (int, float)) and not isinstance(value, bool),
    Kind.BOOL: lambda value: isinstance(value, bool),
    Kind.JSON: lambda _: True,
}
_SAID = {
    Kind.STRING: "text",
    Kind.INT: "a whole number",
    Kind.FLOAT: "a number",
    Kind.BOOL: "true or false",
    Kind.JSON: "JSON",
}

SETTINGS = {
    setting.key: setting
    for setting in (
        Setting("server_name", Kind.STRING, "Mismo", "what frontends call this library", 1, 100),
        Setting("session_timeout_hours", Kind.FLOAT, 4.0, "a session without a play for so long is finalised", 0.1, 72),
        Setting("played_after_seconds", Kind.FLOAT, 30.0, "a track counts as played after so long on air", 0, 600),
        Setting(
            "reconcile_interval_minutes", Kind.INT, 60, "how often watched directories are looked through", 1, 1440
        ),
        Setting("settle_seconds", Kind.FLOAT, 1.0, "a file is taken in once it hasn't grown for so long", 0.1, 60),
        Setting(
            "trash_retention_days", Kind.INT, 0, "after so long deleted files are gone for good; 0: never", 0, 3650
        ),
        Setting("frontend", Kind.JSON, {}, "anything that frontends share among each other"),
    )
}
