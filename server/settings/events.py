"""What is announced about settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from server.events.model import Recorded


@dataclass(frozen=True, kw_only=True)
class SettingUpdated(Recorded):
    """A setting has another value now."""

    name: ClassVar[str] = "setting:updated"
    key: str
    value: Any
