"""What `/metrics` shows: Prometheus text, from a registry of this application's own."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, Gauge, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

CONTENT_TYPE = CONTENT_TYPE_LATEST
_BOUNDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1.0, 5.0)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_OTHER = "other"


class _Durations:
    """How many answers of one route took how long."""

    __slots__ = ("buckets", "seconds")

    def __init__(self) -> None:
        self.buckets = [0] * (len(_BOUNDS) + 1)
        self.seconds = 0.0


class _Requests(Collector):
    """Plain counts, turned into Prometheus' families when somebody asks: a request pays for two dict look-ups."""

    def __init__(self) -> None:
        self.counts: dict[tuple[str, str, int], int] = {}
        self.durations: dict[str, _Durations] = {}

    def collect(self) -> Iterable[Metric]:
        requests = CounterMetricFamily(
            "mismo_http_requests", "HTTP requests answered", labels=["method", "route", "status"]
        )
        for (method, route, status), count in self.counts.items():
            requests.add_metric([method, route, str(status)], count)
        yield requests
        seconds = HistogramMetricFamily("mismo_http_request_seconds", "Time to answer", labels=["route"])
        for route, durations in self.durations.items():
            below, buckets = 0, []
            for bound, count in zip([*map(str, _BOUNDS), "+Inf"], durations.buckets, strict=True):
                below += count
                buckets.append((bound, float(below)))
            seconds.add_metric([route], buckets, durations.seconds)
        yield seconds


class Metrics:
    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = _Requests()
        self.registry.register(self._requests)
        ProcessCollector(registry=self.registry)

    def request(self, method: str, route: str | None, status: int, seconds: float) -> None:
        """Count an answer. `route` is the declared path, None for what no route took."""
        if route is None:
            route = _OTHER
        # A client may invent methods; each would be a series kept for ever.
        key = (method if method in _METHODS else _OTHER, route, status)
        counts = self._requests.counts
        counts[key] = counts.get(key, 0) + 1
        durations = self._requests.durations.get(route)
        if durations is None:
            durations = self._requests.durations[route] = _Durations()
        durations.buckets[bisect_left(_BOUNDS, seconds)] += 1
        durations.seconds += seconds

    def gauge(self, name: str, description: str, read: Callable[[], float]) -> None:
        """A figure that is read whenever somebody asks for it."""
        Gauge(f"mismo_{name}", description, registry=self.registry).set_function(read)

    def text(self) -> bytes:
        return generate_latest(self.registry)
