"""Which companions a configuration asks for."""

from __future__ import annotations

import shlex
from urllib.parse import urlsplit

from server import child
from server.companions.health import HttpHealth, WebsocketHealth
from server.companions.model import Definition
from server.config import Config

DEFAULT_ANALYSIS_URL = "http://127.0.0.1:5000"
ANALYSIS = "analysis"
ENGINE = "engine"


def definitions(config: Config) -> list[Definition]:
    """The analysis server, and the engine where one is configured."""
    found = []
    if config.analysis_server_url:
        url = config.analysis_server_url.rstrip("/")
        is_own = config.analysis_server_command is None
        found.append(Definition(ANALYSIS, url, _analysis_command(config), HttpHealth(f"{url}/health"), is_own))
    if config.audio_server_ws_url:
        url = config.audio_server_ws_url
        command = shlex.split(config.audio_server_command) if config.audio_server_command else None
        found.append(Definition(ENGINE, url, command, WebsocketHealth(url)))
    return found


def _analysis_command(config: Config) -> list[str] | None:
    """The embedded analyser unless a command or an address says otherwise; None: managed elsewhere."""
    if config.analysis_server_command is not None:
        return shlex.split(config.analysis_server_command) or None
    if config.analysis_server_url.rstrip("/") != DEFAULT_ANALYSIS_URL:
        return None
    parts = urlsplit(DEFAULT_ANALYSIS_URL)
    return child.command("server.analyzer", "--host", str(parts.hostname), "--port", str(parts.port))
