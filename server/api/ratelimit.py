"""A limit of requests for each client address: a token bucket that holds a minute's worth."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from server import errors

_CLIENTS = 10_000


@dataclass(slots=True)
class _Bucket:
    tokens: float
    filled_at: float


class RateLimit:
    def __init__(self, per_minute: int, now: Callable[[], float] = time.monotonic):
        self._capacity = float(per_minute)
        self._per_second = per_minute / 60
        self._now = now
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def take(self, client: str) -> None:
        """Take one request from the client's bucket; raises `TooManyRequests` with Retry-After when it is empty."""
        now = self._now()
        bucket = self._buckets.pop(client, None) or _Bucket(self._capacity, now)
        bucket.tokens = min(self._capacity, bucket.tokens + (now - bucket.filled_at) * self._per_second)
        bucket.filled_at = now
        self._buckets[client] = bucket
        if len(self._buckets) > _CLIENTS:
            self._buckets.popitem(last=False)
        if bucket.tokens < 1:
            wait = max(1, round((1 - bucket.tokens) / self._per_second))
            raise errors.TooManyRequests(headers={"Retry-After": str(wait)})
        bucket.tokens -= 1
