"""Bit fields, most significant bit first."""

from __future__ import annotations


class Bits:
    """Reads unsigned numbers off the front of some bytes; behind their end there are zeros."""

    __slots__ = ("_left", "_value")

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data, "big")
        self._left = len(data) * 8

    @property
    def left(self) -> int:
        """Bits not yet read."""
        return max(0, self._left)

    def take(self, count: int) -> int:
        """The next `count` bits."""
        self._left -= count
        value = self._value >> self._left if self._left >= 0 else self._value << -self._left
        return value & (1 << count) - 1
