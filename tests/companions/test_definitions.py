from __future__ import annotations

import sys

from server.companions.definitions import definitions
from tests.conftest import make_config


def _analysis(**overrides: object) -> object:
    return {item.name: item.command for item in definitions(make_config(**overrides))}["analysis"]


def test_embedded_analyser_is_started_where_nothing_is_configured() -> None:
    # The test configuration says "managed elsewhere"; None is what an environment without the variable gives.
    config = make_config(analysis_server_command="")
    config = type(config)(**{**{n: getattr(config, n) for n in config.__slots__}, "analysis_server_command": None})
    command = definitions(config)[0].command
    assert command is not None
    assert command[0] == sys.executable
    assert command[-5:] == ["server.analyzer", "--host", "127.0.0.1", "--port", "5000"]


def test_command_that_is_set_to_nothing_means_managed_elsewhere() -> None:
    assert _analysis(analysis_server_command="") is None


def test_command_is_split_as_a_shell_does() -> None:
    assert _analysis(analysis_server_command="analyse --name 'a b'") == ["analyse", "--name", "a b"]


def test_engine_is_watched_only_where_it_has_an_address() -> None:
    names = [item.name for item in definitions(make_config(audio_server_ws_url=""))]
    assert names == ["analysis"]
    engine = definitions(make_config(audio_server_ws_url="ws://127.0.0.1:8080", audio_server_command="engine -v"))[1]
    assert (engine.name, engine.command) == ("engine", ["engine", "-v"])
