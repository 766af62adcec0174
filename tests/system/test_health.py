"""Health and metrics: what a supervisor, a load balancer and Prometheus see."""

from __future__ import annotations

import asyncio

import pytest

from server import errors
from server.system import health
from server.system.health import Check, look
from tests.support.application import Running


async def test_a_running_server_is_alive_and_ready(mismo: Running) -> None:
    assert await mismo.client.get("/livez") == {"status": "ok"}
    ready = await mismo.client.get("/readyz")
    assert ready["status"] == "ok"
    assert ready["checks"]["database"] == {
        "state": "ok", "detail": mismo.app.database.dialect.value, "is_required": True,
    }  # fmt: skip


async def test_without_its_database_the_server_lives_but_is_not_ready(mismo: Running) -> None:
    await mismo.app.database.close()
    try:
        assert (await mismo.client.request("GET", "/livez")).status == 200
        response = await mismo.client.request("GET", "/readyz")
    finally:
        await mismo.app.database.open()
    assert response.status == 503
    assert response.json["code"] == "not_ready"
    assert response.json["detail"] == "down: database"
    assert response.json["checks"]["database"]["state"] == "down"


async def test_each_part_is_shown_whatever_the_others_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "TIMEOUT_SECONDS", 0.01)

    async def fine() -> str:
        return "fine"

    async def gone() -> str:
        raise errors.Unavailable("the engine doesn't answer")

    async def broken() -> str:
        raise ZeroDivisionError

    async def hanging() -> str:
        await asyncio.Event().wait()
        return "never"

    states = await look(
        [Check("a", fine), Check("b", gone, is_required=False), Check("c", broken), Check("d", hanging)]
    )
    assert [(state.is_up, state.detail, state.is_required) for state in states] == [
        (True, "fine", True),
        (False, "the engine doesn't answer", False),
        (False, "failed; the log says why", True),
        (False, "no answer in 0.01 s", True),
    ]


async def _metrics(mismo: Running) -> dict[str, float]:
    response = await mismo.client.request("GET", "/metrics")
    assert response.headers["content-type"].startswith("text/plain")
    lines = [line for line in response.content.decode().splitlines() if line and not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


async def test_requests_are_counted_by_route_not_by_url(mismo: Running) -> None:
    for key in ("server_name", "frontend", "none"):
        await mismo.client.request("GET", f"/api/settings/{key}")
    await mismo.client.request("GET", "/made/up")
    found = await _metrics(mismo)
    route = "/api/settings/{key}"
    assert found[f'mismo_http_requests_total{{method="GET",route="{route}",status="200"}}'] == 2
    assert found[f'mismo_http_requests_total{{method="GET",route="{route}",status="404"}}'] == 1
    assert found['mismo_http_requests_total{method="GET",route="other",status="404"}'] == 1
    assert found[f'mismo_http_request_seconds_count{{route="{route}"}}'] == 3
    assert found[f'mismo_http_request_seconds_bucket{{le="+Inf",route="{route}"}}'] == 3
    assert "/made/up" not in str(found)


async def test_gauges_show_the_present(mismo: Running) -> None:
    async with mismo.socket("*"):
        await mismo.client.put("/api/settings/server_name", {"value": "Booth"})
        await mismo.settled()
        found = await _metrics(mismo)
    assert found["mismo_websocket_clients"] == 1
    assert found["mismo_event_seq"] == mismo.app.log.seq
    assert found["mismo_event_lag"] == 0
    assert found["process_resident_memory_bytes"] > 0
