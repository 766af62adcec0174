"""Configuration: its defaults, what is refused, and that `.env.example` and the documentation say the same."""

from __future__ import annotations

import os
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from server import config, errors
from server.config import Config

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = ROOT / ".env.example"
_LINE = re.compile(r"^(?P<off># )?(?P<name>[A-Z_]+)=(?P<value>.*)$")


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in config.variable_names():
        monkeypatch.delenv(name, raising=False)


def _example() -> dict[str, str | None]:
    """Variable → its value in the example, None where it is commented out. Each must follow a line of why."""
    found: dict[str, str | None] = {}
    before = ""
    for line in EXAMPLE.read_text().splitlines():
        match = _LINE.match(line)
        if match:
            assert before.startswith("# "), f"{match['name']} lacks its line of why"
            assert match["name"] not in found
            found[match["name"]] = None if match["off"] else match["value"]
        before = line
    return found


def test_example_lists_every_setting_and_no_other() -> None:
    assert set(_example()) == set(config.variable_names())


def test_example_shows_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    defaults = config.load()
    for name, value in _example().items():
        if value is not None:
            monkeypatch.setenv(name, value)
    assert config.load() == defaults
    shown = {name.lower() for name, value in _example().items() if value is not None}
    empty = {item.name for item in fields(Config) if getattr(defaults, item.name) in (None, ())}
    assert {item.name for item in fields(Config)} - shown == empty | {"scan_workers"}


def test_documentation_lists_every_setting() -> None:
    text = (ROOT / "docs" / "configuration.md").read_text()
    for name in config.variable_names():
        assert f"`{name}`" in text, name


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("ALLOWED_HOSTS", " mismo.local, 192.168.1.5 ,", ("mismo.local", "192.168.1.5")),
        ("CORS_ORIGINS", "https://dj.example,http://localhost:5173", ("https://dj.example", "http://localhost:5173")),
        ("AUTO_ANALYZE_NEW_TRACKS", "false", False),
        ("ANALYSIS_SERVER_COMMAND", "", ""),
        ("AUDIO_SERVER_WS_URL", "", ""),
        ("API_TOKEN", "", None),
        ("PORT", "0", 0),
        ("HOST", "::1", "::1"),
    ],
)
def test_value_is_read(monkeypatch: pytest.MonkeyPatch, name: str, value: str, expected: Any) -> None:
    monkeypatch.setenv(name, value)
    assert getattr(config.load(), name.lower()) == expected


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HOST", ""), ("HOST", "localhost:3000"), ("HOST", "two words"), ("PORT", "65536"), ("PORT", "-1"), ("PORT",
        "x"), ("DATABASE_URL", "mysql://x/y"), ("DATABASE_URL", "sqlite:///"), ("DATABASE_URL", "sqlite:///:memory:"),
        ("DATABASE_URL", "postgresql://host"), ("DATABASE_URL", "library.db"), ("API_TOKEN", "two words"),
        ("API_TOKEN", "schlüssel"), ("ALLOWED_HOSTS", "*"), ("ALLOWED_HOSTS", "mismo.local:3000"), ("ALLOWED_HOSTS",
        "ok,http://mismo.local"), ("CORS_ORIGINS", "*"), ("CORS_ORIGINS", "dj.example"), ("CORS_ORIGINS",
        "https://dj.example/app"), ("API_RATE_LIMIT", "0"), ("ANALYSIS_SERVER_URL", "ftp://x"),
        ("AUDIO_SERVER_WS_URL", "http://127.0.0.1"), ("AUTO_ANALYZE_NEW_TRACKS", "maybe"), ("ANALYSIS_MAX_RETRIES",
        "-1"), ("AUDIO_SERVER_KEY_FORMAT", "camelot"), ("SCAN_WORKERS", "0"), ("LOG_LEVEL", "loud"), ("LOG_FORMAT",
        "xml"), ("EVENT_RETENTION_DAYS", "0"), ("STEM_TTL", "0"), ("AUDIO_SERVER_MAX_RECONNECT_DELAY", "999"),
        ("AUDIO_SERVER_WS_URL", "ws://127.0.0.1:99999"), ("AUDIO_SERVER_WS_URL", "ws://"), ("AUDIO_SERVER_WS_URL",
        "ws://[::1"), ("AUDIO_SERVER_COMMAND", 'engine "x'), ("ANALYSIS_SERVER_COMMAND", "it's"),
    ],
)  # fmt: skip
def test_bad_value_is_refused_by_name(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(errors.StartupError) as refused:
        config.load()
    lines = str(refused.value).splitlines()
    assert lines[0] == "bad configuration:"
    assert [line.split(":")[0].strip() for line in lines[1:]] == [name]


def test_all_bad_values_are_listed_in_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PORT", "API_RATE_LIMIT", "SCAN_WORKERS", "STEM_TTL"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("AUDIO_SERVER_RECONNECT_DELAY", "60000")
    with pytest.raises(errors.StartupError) as refused:
        config.load()
    assert len(str(refused.value).splitlines()) == 6


@pytest.mark.parametrize(
    ("host", "is_loopback"),
    [("127.0.0.1", True), ("127.0.0.2", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("::", False),
     ("192.168.1.5", False), ("127.attacker.example", False)],
)  # fmt: skip
def test_loopback_is_told_by_the_address(host: str, is_loopback: bool) -> None:
    assert config.load(host=host).is_loopback is is_loopback


def test_password_is_not_part_of_what_is_shown() -> None:
    shown = config.load(database_url="postgresql://mismo:s3cret@db.local:5433/library?password=s3cret").database_name
    assert shown == "postgresql://db.local:5433/library"


def test_environment_is_read_not_changed() -> None:
    before = dict(os.environ)
    config.load()
    assert dict(os.environ) == before
