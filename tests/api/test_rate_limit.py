"""The limit of requests for each client: off on loopback, and gentle to everybody else when one is greedy."""

from __future__ import annotations

import pytest

from server import errors
from server.api.ratelimit import RateLimit
from tests.conftest import make_config
from tests.support.application import Running, running

AUTHORIZED = {"Authorization": "Bearer t0ken"}


class Time:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


async def test_there_is_none_on_loopback(database_url: str) -> None:
    async with running(make_config(database_url=database_url, api_rate_limit=2)) as server:
        assert [(await server.client.request("GET", "/livez")).status for _ in range(10)] == [200] * 10


async def test_beyond_the_limit_a_client_is_told_when_to_come_again(database_url: str) -> None:
    config = make_config(database_url=database_url, host="0.0.0.0", api_token="t0ken", api_rate_limit=3)
    async with running(config) as server:
        answers = [await server.client.request("GET", "/api/settings", headers=AUTHORIZED) for _ in range(4)]
        assert [answer.status for answer in answers] == [200, 200, 200, 429]
        assert answers[3].json["code"] == "rate_limited"
        assert 1 <= int(answers[3].headers["retry-after"]) <= 20


async def test_guesses_of_a_token_count_too(database_url: str) -> None:
    config = make_config(database_url=database_url, host="0.0.0.0", api_token="t0ken", api_rate_limit=3)
    async with running(config) as server:
        assert [await _guess(server, number) for number in range(5)] == [401, 401, 401, 429, 429]


async def _guess(server: Running, number: int) -> int:
    headers = {"Authorization": f"Bearer {number}"}
    return (await server.client.request("GET", "/api/settings", headers=headers)).status


def test_bucket_fills_again_with_time() -> None:
    time = Time()
    limit = RateLimit(60, time)
    for _ in range(60):
        limit.take("a")
    with pytest.raises(errors.TooManyRequests) as refused:
        limit.take("a")
    assert refused.value.headers == {"Retry-After": "1"}
    time.now += 2
    limit.take("a")
    limit.take("a")
    with pytest.raises(errors.TooManyRequests):
        limit.take("a")


def test_bucket_never_holds_more_than_a_minute_of_requests() -> None:
    time = Time()
    limit = RateLimit(10, time)
    limit.take("a")
    time.now += 3600
    for _ in range(10):
        limit.take("a")
    with pytest.raises(errors.TooManyRequests):
        limit.take("a")


def test_each_client_has_its_own() -> None:
    limit = RateLimit(1, Time())
    limit.take("a")
    limit.take("b")
    with pytest.raises(errors.TooManyRequests):
        limit.take("a")


def test_many_clients_cost_bounded_memory() -> None:
    limit = RateLimit(1, Time())
    for number in range(30_000):
        limit.take(str(number))
    assert len(limit._buckets) <= 10_000
