"""What `/metrics` shows: Prometheus text, from a registry of this application's own."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

CONTENT_TYPE = CONTENT_TYPE_LATEST
_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1, 5)


class Metrics:
    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "mismo_http_requests", "HTTP requests answered", ["method", "route", "status"], registry=self.registry
        )
        self._seconds = Histogram(
            "mismo_http_request_seconds", "Time to answer", ["route"], buckets=_SECONDS, registry=self.registry
        )

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def gauge(self, name: str, description: str, read: Callable[[], float]) -> None:
        """A figure that is read whenever somebody asks for it."""
        Gauge(f"mismo_{name}", description, registry=self.registry).set_function(read)

    def text(self) -> bytes:
        return generate_latest(self.registry)
