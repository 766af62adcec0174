"""Settings: typed, validated, cached, announced."""

from __future__ import annotations

from typing import Any

import pytest

from server.settings.model import MAX_JSON_BYTES, SETTINGS, Kind
from tests.support.application import Running


async def test_all_are_listed_with_type_default_and_why(mismo: Running) -> None:
    answer = await mismo.client.get("/api/settings")
    assert [item["key"] for item in answer["data"]] == list(SETTINGS)
    assert answer["pagination"]["total"] == len(SETTINGS)
    for item in answer["data"]:
        assert item["value"] == item["default"]
        assert item["type"] in list(Kind)
        assert item["description"]
        assert item["updated_at"] is None


def test_every_default_is_a_value_that_would_be_accepted() -> None:
    for setting in SETTINGS.values():
        assert setting.check(setting.default) == setting.default


async def test_change_is_announced_and_read_by_everybody(mismo: Running) -> None:
    async with mismo.socket("setting:*") as socket:
        changed = (await mismo.client.put("/api/settings/session_timeout_hours", {"value": 6}))["data"]
        event = await socket.named("setting:updated")
    assert event["data"] == {"key": "session_timeout_hours", "value": 6.0}
    assert (changed["value"], changed["default"]) == (6.0, 4.0)
    assert changed["updated_at"] is not None
    assert await mismo.app.settings.get("session_timeout_hours") == 6.0
    assert (await mismo.client.get("/api/settings/session_timeout_hours"))["data"] == changed


async def test_same_value_again_changes_and_announces_nothing(mismo: Running) -> None:
    first = await mismo.client.put("/api/settings/server_name", {"value": "Booth"})
    seq = mismo.app.log.seq
    assert await mismo.client.put("/api/settings/server_name", {"value": "Booth"}) == first
    assert mismo.app.log.seq == seq


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize("levels", [65, 250, 253, 254, 1000])
async def test_value_too_deep_to_be_told_is_refused_and_harms_nobody(mismo: Running, levels: int) -> None:
    """orjson reads 1,024 levels and writes 254, of which the event and the answer take some."""
    async with mismo.socket("setting:*") as socket:
        body = b'{"value":' + b"[" * levels + b"]" * levels + b"}"
        headers = {"Content-Type": "application/json"}
        answer = await mismo.client.request("PUT", "/api/settings/frontend", content=body, headers=headers)
        assert (answer.status, answer.json["errors"][0]["field"]) == (422, "value")
        await mismo.client.put("/api/settings/frontend", {"value": nested(64)})
        assert (await socket.named("setting:updated"))["data"]["value"] == nested(64)
        assert len(socket.events) == 1
    assert (await mismo.client.get("/api/settings/frontend"))["data"]["value"] == nested(64)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("server_name", 1, "must be text"), ("server_name", None, "must be text"), ("server_name", "", "at least 1"),
        ("server_name", "x" * 101, "at most 100"), ("trash_retention_days", 1.5, "a whole number"),
        ("trash_retention_days", "30", "a whole number"), ("trash_retention_days", True, "a whole number"),
        ("trash_retention_days", -1, "at least 0"),
        ("settle_seconds", "1", "must be a number"), ("settle_seconds", False, "must be a number"),
        ("settle_seconds", 0, "at least 0.1"), ("settle_seconds", 61, "at most 60"),
        ("frontend", "x" * MAX_JSON_BYTES, "longer than"),
    ],
)  # fmt: skip
async def test_wrong_value_is_refused(mismo: Running, key: str, value: Any, message: str) -> None:
    answer = await mismo.client.put(f"/api/settings/{key}", {"value": value}, status=422)
    assert [error["field"] for error in answer["errors"]] == ["value"]
    assert message in answer["detail"]
    assert (await mismo.client.get(f"/api/settings/{key}"))["data"]["updated_at"] is None


@pytest.mark.parametrize("value", [None, 0, [], {"a": [1.5, None, {"b": "ü\0"}]}, "text", True])
async def test_json_setting_takes_any_json(mismo: Running, value: Any) -> None:
    await mismo.client.put("/api/settings/frontend", {"value": value})
    assert (await mismo.client.get("/api/settings/frontend"))["data"]["value"] == value


async def test_unknown_setting_is_not_found(mismo: Running) -> None:
    await mismo.client.get("/api/settings/colour", status=404)
    await mismo.client.put("/api/settings/colour", {"value": 1}, status=404)


async def test_reading_costs_no_query_while_nothing_changes(mismo: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    await mismo.app.settings.get("server_name")
    queries: list[str] = []
    fetch_all = mismo.app.database.fetch_all

    async def counted(sql: str, params: Any = None) -> Any:
        queries.append(sql)
        return await fetch_all(sql, params)

    monkeypatch.setattr(mismo.app.database, "fetch_all", counted)
    await mismo.app.settings.get("server_name")
    assert not [sql for sql in queries if "settings" in sql]
    await mismo.client.put("/api/settings/server_name", {"value": "Booth"})
    assert await mismo.app.settings.get("server_name") == "Booth"
