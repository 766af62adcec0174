"""`mismo serve`: ready, stopped, and why it doesn't start."""

from __future__ import annotations

import signal
import socket
from pathlib import Path

import aiohttp
import pytest

from tests.cli.program import Program
from tests.conftest import IS_POSTGRES
from tests.support import sound


async def test_ready_line_says_where_and_the_server_answers_there(program: Program, music: Path) -> None:
    sound.mp3(music / "one.mp3", 1, TIT2="One")
    async with program.serving("--library", str(music)) as server, aiohttp.ClientSession(server.url) as session:
        async with session.get("/readyz") as response:
            assert response.status == 200
        async with session.get("/api/library/directories") as response:
            (directory,) = (await response.json())["data"]
    assert directory["path"] == str(music)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_stop_is_clean_and_websockets_hear_of_it(program: Program, number: signal.Signals) -> None:
    async with (
        program.serving() as server,
        aiohttp.ClientSession() as session,
        session.ws_connect(f"{server.url}/ws?topics=*") as websocket,
    ):
        assert (await websocket.receive_json())["type"] == "hello"
        assert (await websocket.receive_json())["type"] == "subscribed"
        server.process.send_signal(number)
        closed = await websocket.receive()
        assert closed.type is aiohttp.WSMsgType.CLOSE
        assert closed.data == 1001
        result = await server.stop(number)
    assert result.code == 0, result.err
    assert "Traceback" not in result.err


async def test_port_in_use_is_said(program: Program) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        result = await program.run("serve", "--port", str(port))
    assert result.code == 1
    assert f"can't listen on 127.0.0.1:{port}: Address already in use" in " ".join(result.err.split())
    assert "Traceback" not in result.err


async def test_all_bad_settings_are_listed_at_once(program: Program) -> None:
    result = await program.run("serve", PORT="many", API_RATE_LIMIT="0", LOG_LEVEL="loud", CORS_ORIGINS="*")
    assert result.code == 1
    assert result.out == ""
    lines = result.err.splitlines()
    assert lines[0] == "mismo: bad configuration:"
    assert [line.split(":")[0].strip() for line in lines[1:]] == ["API_RATE_LIMIT", "CORS_ORIGINS", "LOG_LEVEL", "PORT"]


@pytest.mark.parametrize(("option", "value"), [("--port", "70000"), ("--port", "x"), ("--port", "-1"), ("--host", "")])
async def test_bad_option_is_wrong_usage(program: Program, option: str, value: str) -> None:
    result = await program.run("serve", f"{option}={value}")
    assert result.code == 2
    assert "usage:" in result.err


async def test_library_that_is_not_there_is_named(program: Program, tmp_path: Path) -> None:
    result = await program.run("serve", "--port", "0", "--library", str(tmp_path / "nowhere"))
    assert result.code == 1
    assert f"--library {tmp_path / 'nowhere'}: path: doesn't exist" in result.err
    assert "Traceback" not in result.err


async def test_library_may_be_named_again_in_any_way(program: Program, music: Path) -> None:
    (music.parent / "link").symlink_to(music)
    await program.run("migrate")
    for path in (music, music / ".." / music.name, f"{music}/", music.parent / "link"):
        async with program.serving("--library", str(path)) as server, aiohttp.ClientSession(server.url) as session:
            async with session.get("/api/library/directories") as response:
                (directory,) = (await response.json())["data"]
            assert directory["path"] == str(music)


async def test_reachable_server_wants_a_token_first(program: Program) -> None:
    result = await program.run("serve", "--port", "0", "--host", "0.0.0.0")
    assert result.code == 1
    assert "mismo token create" in result.err
    assert (await program.run("token", "create", "stage")).code == 0
    async with program.serving("--host", "0.0.0.0") as server:
        assert server.url.startswith("http://0.0.0.0:")


async def test_database_folder_that_cannot_be_made_is_said(program: Program, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = await program.run("serve", "--port", "0", DATABASE_URL=f"sqlite:///{tmp_path}/file/library.db")
    assert result.code == 1
    assert result.err.startswith("mismo: ")
    assert "Traceback" not in result.err


async def test_log_file_that_cannot_be_written_is_said(program: Program, tmp_path: Path) -> None:
    result = await program.run("serve", "--port", "0", LOG_FILE=str(tmp_path / "none" / "log"))
    assert result.code == 1
    assert "can't write the log" in result.err
    assert "Traceback" not in result.err


@pytest.mark.skipif(IS_POSTGRES, reason="not for PostgreSQL: any number of servers may share one PostgreSQL")
async def test_second_server_on_one_file_is_refused_and_told_of_the_first(program: Program) -> None:
    async with program.serving() as first:
        second = await program.run("serve", "--port", "0")
        migrating = await program.run("migrate")
    for result in (second, migrating):
        assert result.code == 1
        assert "another Mismo works on" in result.err
        assert first.url in result.err
    async with program.serving():
        pass


@pytest.mark.skipif(not IS_POSTGRES, reason="not for SQLite: one file has one server")
async def test_two_servers_share_one_postgres(program: Program) -> None:
    async with program.serving() as first, program.serving() as second, aiohttp.ClientSession() as session:
        async with session.put(f"{first.url}/api/settings/server_name", json={"value": "Booth"}) as response:
            assert response.status == 200
        async with session.ws_connect(f"{second.url}/ws?topics=setting:updated&since=0") as websocket:
            while (message := await websocket.receive_json())["type"] != "events":
                pass
    assert message["events"][0]["data"] == {"key": "server_name", "value": "Booth"}
