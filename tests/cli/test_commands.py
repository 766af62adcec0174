"""The other commands: help, migrate, backup, doctor, token, openapi."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from server import __version__
from server.__main__ import _COMMANDS
from tests.cli.program import Program, Result
from tests.conftest import IS_POSTGRES
from tests.support import sound

only_sqlite = pytest.mark.skipif(IS_POSTGRES, reason="not for PostgreSQL: looks into a file")
FORMS = [[command.NAME] for command in _COMMANDS] + [["token", verb] for verb in ("create", "list", "revoke")]


@pytest.mark.parametrize("form", FORMS, ids=" ".join)
async def test_help_of_each_command_shows_an_example_that_is_understood(program: Program, form: list[str]) -> None:
    result = await program.run(*form, "--help")
    assert result.code == 0
    example = re.search(r"^example: mismo (.*)$", result.out, re.MULTILINE)
    assert example is not None, result.out
    assert example[1].split()[: len(form)] == form


async def test_help_of_the_whole_lists_every_command(program: Program) -> None:
    result = await program.run("--help")
    for command in _COMMANDS:
        assert f"  {command.NAME} " in result.out
        assert command.HELP.split("(")[0].strip() in " ".join(result.out.split())
    assert "example: mismo serve" in result.out


async def test_without_a_command_usage_is_shown(program: Program) -> None:
    result = await program.run()
    assert result.code == 2
    assert "usage: mismo" in result.err


async def test_version_is_said(program: Program) -> None:
    assert (await program.run("--version")).out == f"mismo {__version__}\n"


async def test_settings_come_from_the_env_file_and_yield_to_the_environment(program: Program, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("PORT=many\nLOG_LEVEL=loud\n")
    result = await program.run("migrate", LOG_LEVEL="info")
    assert result.err.splitlines()[1:] == ["  PORT: Not a valid integer."]
    (tmp_path / "other.env").write_text("PORT=3001\n")
    assert (await program.run("--env-file", "other.env", "migrate")).code == 0


@pytest.mark.parametrize("name", ["none.env", "."])
async def test_named_env_file_must_be_there(program: Program, name: str) -> None:
    result = await program.run("--env-file", name, "migrate")
    assert result.code == 1
    assert "there is no file" in result.err


async def test_env_file_that_is_not_text_is_said(program: Program, tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"PORT=\xff\xfe\n")
    result = await program.run("migrate")
    assert result.code == 1
    assert result.err.startswith("mismo: can't read .env")


async def test_migrate_says_what_it_applied_and_then_nothing(program: Program, tmp_path: Path) -> None:
    assert (await program.run("migrate")).out == "the database is up to date\n"
    fresh = await program.run("migrate", DATABASE_URL=f"sqlite:///{tmp_path}/new/library.db")
    assert fresh.out.splitlines()[0] == "applied 0001_initial"


@only_sqlite
async def test_backup_of_a_running_server_opens_and_holds_everything(
    program: Program, music: Path, tmp_path: Path
) -> None:
    sound.mp3(music / "one.mp3", 1, TIT2="One")
    copy = tmp_path / "copy.db"
    async with program.serving() as server, aiohttp.ClientSession(server.url) as session:
        assert (await program.run("scan", str(music))).code == 0
        async with session.put("/api/settings/server_name", json={"value": "Booth"}) as response:
            assert response.status == 200
        result = await program.run("backup", str(copy))
        assert result.code == 0, result.err
        assert result.out == f"{copy}: {copy.stat().st_size} bytes\n"
    async with program.serving(DATABASE_URL=f"sqlite:///{copy}") as restored, aiohttp.ClientSession() as session:
        async with session.get(f"{restored.url}/api/tracks") as response:
            assert [track["title"] for track in (await response.json())["data"]] == ["One"]
        async with session.get(f"{restored.url}/api/settings/server_name") as response:
            assert (await response.json())["data"]["value"] == "Booth"


@only_sqlite
async def test_backup_overwrites_nothing_and_leaves_nothing_half(program: Program, tmp_path: Path) -> None:
    there = tmp_path / "there.db"
    there.write_text("mine")
    assert "exists already" in (await program.run("backup", str(there))).err
    assert there.read_text() == "mine"
    assert "can't write to" in (await program.run("backup", str(tmp_path / "none" / "copy.db"))).err
    nothing = await program.run("backup", str(tmp_path / "copy.db"), DATABASE_URL=f"sqlite:///{tmp_path}/none.db")
    assert (nothing.code, nothing.err) == (1, f"mismo: there is no database at {tmp_path}/none.db\n")
    assert not (tmp_path / "none.db").exists()
    assert not (tmp_path / "copy.db.part").exists()


@pytest.mark.skipif(
    not IS_POSTGRES or shutil.which("pg_dump") is None,
    reason="not for SQLite, nor without pg_dump",
)
async def test_backup_of_postgres_is_a_dump(program: Program, tmp_path: Path) -> None:
    assert (await program.run("backup", str(tmp_path / "copy.dump"))).code == 0
    assert (tmp_path / "copy.dump").read_bytes().startswith(b"PGDMP")


def _findings(result: Result) -> dict[str, dict[str, Any]]:
    return {line["name"]: line for line in map(orjson.loads, result.out.splitlines())}


async def test_doctor_says_a_line_about_everything(program: Program, music: Path) -> None:
    sound.mp3(music / "one.mp3", 1)
    await program.run("scan", str(music))
    result = await program.run("doctor")
    found = _findings(result)
    assert result.code == 0, result.out
    assert {"database", "directory", "disk space", "inotify", "analysis server", "audio engine", "pg_dump"} <= set(
        found
    )
    assert found["database"]["state"] == "ok"
    assert str(music) in found["directory"]["detail"]
    assert {line["state"] for line in found.values()} <= {"ok", "note"}


async def test_doctor_exits_with_1_when_a_directory_is_gone(program: Program, music: Path) -> None:
    sound.mp3(music / "one.mp3", 1)
    await program.run("scan", str(music))
    shutil.rmtree(music)
    result = await program.run("doctor")
    assert result.code == 1
    assert _findings(result)["directory"]["state"] == "problem"


@only_sqlite
async def test_doctor_of_a_fresh_machine_is_content_and_makes_nothing(program: Program, tmp_path: Path) -> None:
    result = await program.run("doctor", DATABASE_URL=f"sqlite:///{tmp_path}/new/library.db")
    assert result.code == 0, result.out
    assert _findings(result)["database"]["state"] == "note"
    assert not (tmp_path / "new").exists()


@only_sqlite
@pytest.mark.parametrize("content", [b"not a database at all, but quite some text" * 200, b""])
async def test_doctor_tells_a_file_that_is_no_database(program: Program, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "odd.db").write_bytes(content)
    result = await program.run("doctor", DATABASE_URL=f"sqlite:///{tmp_path}/odd.db")
    assert result.code == 1
    assert _findings(result)["database"]["state"] == "problem"
    assert "Traceback" not in result.err


@only_sqlite
async def test_doctor_finds_damage(program: Program, music: Path, tmp_path: Path) -> None:
    for number in range(20):
        sound.mp3(music / f"{number}.mp3", number)
    await program.run("scan", str(music))
    await program.run("backup", str(tmp_path / "copy.db"))
    content = bytearray((tmp_path / "copy.db").read_bytes())
    content[len(content) // 2 : len(content) // 2 + 20000] = os.urandom(20000)
    (tmp_path / "copy.db").write_bytes(content)
    result = await program.run("doctor", DATABASE_URL=f"sqlite:///{tmp_path}/copy.db")
    assert result.code == 1
    assert _findings(result)["database"]["state"] == "problem"


@only_sqlite
async def test_doctor_and_serve_refuse_a_newer_database(program: Program, tmp_path: Path) -> None:
    await program.run("backup", str(tmp_path / "newer.db"))
    with closing(sqlite3.connect(tmp_path / "newer.db")) as database:
        database.execute("INSERT INTO migrations VALUES ('9999_future', 'x', 0)")
        database.commit()
    newer = f"sqlite:///{tmp_path}/newer.db"
    assert "9999_future" in _findings(await program.run("doctor", DATABASE_URL=newer))["database"]["detail"]
    for command in (["serve", "--port", "0"], ["token", "list"], ["migrate"]):
        result = await program.run(*command, DATABASE_URL=newer)
        assert result.code == 1
        assert "newer than this program" in result.err


async def test_doctor_hides_passwords(program: Program) -> None:
    result = await program.run("doctor", DATABASE_URL="postgresql://mismo:s3cret@127.0.0.1:1/library")
    assert result.code == 1
    assert "s3cret" not in result.out + result.err


async def test_token_is_shown_once_listed_and_revoked(program: Program) -> None:
    made = await program.run("token", "create", "stage left")
    token = made.out.strip()
    assert re.fullmatch(r"mismo_[\w-]{40,}", token)
    again = await program.run("token", "create", "stage left")
    assert (again.code, again.err) == (1, "mismo: there is a token 'stage left' already\n")
    listed = (await program.run("token", "list")).out
    assert listed.startswith("stage left\t20")
    assert token not in listed
    assert (await program.run("token", "revoke", "stage left")).code == 0
    gone = await program.run("token", "revoke", "stage left")
    assert (gone.code, gone.err) == (1, "mismo: there is no token 'stage left'\n")
    assert (await program.run("token", "list")).out == ""


async def test_token_made_while_the_server_runs_opens_it(program: Program) -> None:
    async with (
        program.serving("--host", "0.0.0.0", API_TOKEN="first", API_RATE_LIMIT="100000") as server,
        aiohttp.ClientSession() as session,
    ):
        token = (await program.run("token", "create", "second")).out.strip()
        headers = {"Authorization": f"Bearer {token}"}
        async with session.get(f"{server.url}/api/settings", headers=headers) as response:
            assert response.status == 200
        await program.run("token", "revoke", "second")
        async with asyncio.timeout(30):
            while True:
                async with session.get(f"{server.url}/api/settings", headers=headers) as response:
                    if response.status == 401:
                        break


async def test_openapi_and_asyncapi_are_printed_without_touching_the_database(program: Program, tmp_path: Path) -> None:
    nowhere = f"sqlite:///{tmp_path}/nowhere/library.db"
    result = await program.run("openapi", DATABASE_URL=nowhere, HOST="0.0.0.0", API_TOKEN="t0ken")
    assert result.err == ""
    assert result.code == 0, result.err
    OpenAPIV31SpecValidator(orjson.loads(result.out)).validate()
    websocket = await program.run("openapi", "--websocket", DATABASE_URL=nowhere)
    assert orjson.loads(websocket.out)["asyncapi"] == "3.0.0"
    assert not (tmp_path / "nowhere").exists()


async def test_output_that_nobody_reads_to_its_end_is_no_error(program: Program) -> None:
    process = await program.start("openapi")
    assert process.stdout is not None
    assert process.stderr is not None
    await process.stdout.read(10)
    process.stdout._transport.close()  # type: ignore[attr-defined] # as `| head -c 10` does
    complaint = await process.stderr.read()
    await process.wait()
    assert b"Traceback" not in complaint


async def test_help_needs_no_server(program: Program) -> None:
    # A second, on which a shell that completes commands would wait each time.
    code = "import sys; import server.__main__; print({'server.app', 'aiohttp'} & set(sys.modules))"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, env=program.environment(), stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    assert out.decode() == "set()\n"
