"""Finished answers, served again as long as no event was committed: what is derived from the log can't have changed."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

MAX_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Finished:
    """An answer as bytes, and the number of the event it is true for."""

    seq: int
    body: bytes
    etag: str


class AnswerCache:
    """Least recently used answers, bounded in bytes."""

    def __init__(self, max_bytes: int = MAX_BYTES):
        self._max_bytes = max_bytes
        self._bytes = 0
        self._answers: OrderedDict[str, Finished] = OrderedDict()

    def get(self, url: str, seq: int) -> Finished | None:
        found = self._answers.get(url)
        if found is None:
            return None
        if found.seq != seq:
            self._drop(url)
            return None
        self._answers.move_to_end(url)
        return found

    def put(self, url: str, answer: Finished) -> None:
        if len(answer.body) > self._max_bytes // 8:
            return
        if url in self._answers:
            self._drop(url)
        self._answers[url] = answer
        self._bytes += len(answer.body)
        while self._bytes > self._max_bytes:
            self._drop(next(iter(self._answers)))

    def _drop(self, url: str) -> None:
        self._bytes -= len(self._answers.pop(url).body)
