"""Origins: another site's page may neither change anything, nor open a websocket, nor read what it isn't listed for."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest

from tests.api.raw import exchange, request
from tests.conftest import make_config
from tests.support.application import Running, running

JSON = "Content-Type: application/json"
FRONTEND = "https://dj.example"
OURS = ["http://localhost:3000", "http://127.0.0.1:5173", "https://localhost", "http://[::1]:3000"]
OTHERS = [
    "https://evil.example", "null", "", "http://127.attacker.example", "http://localhost.evil.example", "file://",
    "localhost", "http://[", "http://[::1", "chrome-extension://localhost", "http://user@localhost",
    "http://evil.example#localhost", "https://dj.example.evil.example", "http://dj.example",
]  # fmt: skip


@pytest.fixture
async def listed(database_url: str) -> AsyncIterator[Running]:
    """A server that lists one frontend's origin."""
    async with running(make_config(database_url=database_url, cors_origins=(FRONTEND,))) as server:
        yield server


async def _put(server: Running, origin: str) -> int:
    sent = request("PUT", "/api/settings/server_name", JSON, f"Origin: {origin}", body=b'{"value": "x"}')
    answer = await exchange(server.url, sent)
    if answer.status != 200:
        answer.assert_problem(403, "origin_not_allowed")
    return answer.status


async def _upgrade(server: Running, origin: str) -> int:
    try:
        async with server.session.ws_connect(f"{server.url}/ws", headers={"Origin": origin}) as socket:
            assert (await socket.receive_json())["type"] == "hello"
            return 101
    except aiohttp.WSServerHandshakeError as error:
        return error.status


@pytest.mark.parametrize("origin", OURS)
async def test_own_pages_may_write_and_listen(mismo: Running, origin: str) -> None:
    assert await _put(mismo, origin) == 200
    assert await _upgrade(mismo, origin) == 101


@pytest.mark.parametrize("origin", OTHERS)
async def test_other_pages_may_neither_write_nor_listen(listed: Running, origin: str) -> None:
    assert await _put(listed, origin) == 403
    assert await _upgrade(listed, origin) == 403


async def test_listed_origin_may_write_and_listen(listed: Running) -> None:
    assert await _put(listed, FRONTEND) == 200
    assert await _upgrade(listed, FRONTEND) == 101


async def test_without_a_list_no_answer_speaks_of_origins(mismo: Running) -> None:
    for method in ("GET", "OPTIONS"):
        headers = {"Origin": "http://localhost:5173", "Access-Control-Request-Method": "PUT"}
        response = await mismo.client.request(method, "/api/settings", headers=headers)
        assert response.status == (200 if method == "GET" else 405)
        assert not [name for name in response.headers if name.startswith("access-control")]
        assert "vary" not in response.headers


async def test_listed_origin_may_read_answers_and_failures(listed: Running) -> None:
    for path, status in (("/api/settings", 200), ("/api/nothing", 404), ("/api/tracks?limit=x", 422)):
        response = await listed.client.request("GET", path, headers={"Origin": FRONTEND})
        assert response.status == status
        assert response.headers["access-control-allow-origin"] == FRONTEND
        assert "X-Mismo-Seq" in response.headers["access-control-expose-headers"]
        assert response.headers["vary"] == "Origin"


async def test_unlisted_origin_is_not_told_that_it_may_read(listed: Running) -> None:
    for headers in ({"Origin": "https://evil.example"}, {}):
        response = await listed.client.request("GET", "/api/settings", headers=headers)
        assert "access-control-allow-origin" not in response.headers
        assert response.headers["vary"] == "Origin"


async def test_preflight_is_answered_for_listed_origins_only(listed: Running) -> None:
    asked = {"Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "content-type"}
    allowed = await listed.client.request("OPTIONS", "/api/settings/frontend", headers={"Origin": FRONTEND, **asked})
    assert allowed.status == 204
    assert allowed.content == b""
    assert "PUT" in allowed.headers["access-control-allow-methods"]
    assert "Idempotency-Key" in allowed.headers["access-control-allow-headers"]
    refused = await listed.client.request(
        "OPTIONS", "/api/settings/frontend", headers={"Origin": "https://evil.example", **asked}
    )
    assert refused.status == 405
    assert "access-control-allow-methods" not in refused.headers


async def test_preflight_needs_no_token(database_url: str) -> None:
    config = make_config(database_url=database_url, cors_origins=(FRONTEND,), api_token="t0ken")
    async with running(config) as server:
        headers = {"Origin": FRONTEND, "Access-Control-Request-Method": "GET"}
        assert (await server.client.request("OPTIONS", "/api/settings", headers=headers)).status == 204
        refused = await server.client.request("GET", "/api/settings", headers={"Origin": FRONTEND})
        assert refused.status == 401
        assert refused.headers["access-control-allow-origin"] == FRONTEND
