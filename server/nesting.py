"""How deep JSON from outside may be nested: much may be read that couldn't be written into an answer or an event.

orjson reads 1,024 levels and writes 254, and what comes from outside is wrapped a few times before it goes out again.
"""

from __future__ import annotations

from typing import Any

MOST_LEVELS = 64


def is_too_deep(value: Any) -> bool:
    """Whether a JSON value has lists and objects within each other on more than `MOST_LEVELS` levels."""
    level = [value]
    for _ in range(MOST_LEVELS + 1):
        level = [item for item in level if isinstance(item, (dict, list))]
        if not level:
            return False
        level = [inner for item in level for inner in (item.values() if isinstance(item, dict) else item)]
    return True
