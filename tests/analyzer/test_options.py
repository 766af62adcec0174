from pathlib import Path

import pytest

from server.analyzer import options

DOCS = Path(__file__).resolve().parents[2] / "docs" / "analysis.md"


def test_alone_it_listens_on_loopback_port_5000() -> None:
    parsed = options.parse([])
    assert (parsed.host, parsed.port, parsed.is_local, parsed.exit_with_parent) == ("127.0.0.1", 5000, True, False)
    assert parsed.callback_hosts == options.LOOPBACK


def test_hosts_may_be_added() -> None:
    parsed = options.parse(["--host", "0.0.0.0", "--allow-callback-host", "Mismo.local", "--allow-host", "studio"])
    assert not parsed.is_local
    assert "mismo.local" in parsed.callback_hosts
    assert {"0.0.0.0", "studio", "localhost"} <= parsed.request_hosts


@pytest.mark.parametrize("arguments", [["--workers", "0"], ["--port", "x"], ["--stem-format", "mp3"], ["--work", "2"]])
def test_wrong_arguments_end_with_a_message(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        options.parse(arguments)
    assert arguments[0] in capsys.readouterr().err


def test_every_option_is_documented(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        options.parse(["--help"])
    flags = {word.strip("[],") for word in capsys.readouterr().out.split() if word.startswith(("--", "[--"))}
    text = DOCS.read_text()
    assert [flag for flag in sorted(flags - {"--help"}) if f"`{flag}" not in text] == []
