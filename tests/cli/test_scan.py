"""`mismo scan`: by itself or through the running server, for a person or for a program."""

from __future__ import annotations

import asyncio
import os
import pty
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest

from tests.cli.program import Program, Result
from tests.conftest import IS_POSTGRES
from tests.support import sound

pytestmark = pytest.mark.skipif(
    IS_POSTGRES, reason="not for PostgreSQL: the command is the same there, and the server's lock is SQLite's"
)


@pytest.fixture
def library(music: Path) -> Path:
    """Two good files, and one that its tags can't be read from."""
    sound.mp3(music / "good.mp3", 1, TIT2="Good")
    sound.mp3(music / "deep" / "better.mp3", 2, TIT2="Better")
    (music / "bad.flac").write_bytes(b"fLaC" + bytes(100))
    return music


def _lines(result: Result) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in result.out.splitlines()]


def _end(result: Result) -> dict[str, Any]:
    last: dict[str, Any] = _lines(result)[-1]
    assert last["event"].startswith("library:directory:scan:")
    scan: dict[str, Any] = last["data"]["scan"]
    return scan


async def test_piped_output_is_json_lines_and_a_failed_file_is_named(program: Program, library: Path) -> None:
    result = await program.run("scan", str(library))
    assert result.code == 1, result.err
    scan = _end(result)
    assert (scan["state"], scan["counts"]["added"], scan["counts"]["failed"]) == ("complete", 3, 1), scan
    assert {failure["path"] for failure in scan["failures"]} == {"bad.flac"}


async def test_clean_scan_exits_with_0(program: Program, library: Path) -> None:
    (library / "bad.flac").unlink()
    result = await program.run("scan", str(library))
    assert result.code == 0, result.err
    assert _end(result)["counts"]["added"] == 2


async def test_scan_through_the_running_server(program: Program, library: Path) -> None:
    async with program.serving() as server:
        result = await program.run("scan", str(library))
        async with aiohttp.ClientSession() as session, session.get(f"{server.url}/api/scan/history") as response:
            (listed,) = (await response.json())["data"]
    assert result.code == 1
    assert _end(result)["id"] == listed["id"]


async def test_folders_that_have_the_names_of_packages_are_no_part_of_mismo(program: Program, library: Path) -> None:
    (library / "bad.flac").unlink()
    for name in ("server", "mutagen"):
        (program.folder / name).mkdir()
        (program.folder / name / "__init__.py").write_text("raise SystemExit('not this one')")
    installed = replace(program, command=(str(Path(sys.executable).with_name("mismo")),))
    async with installed.serving():
        result = await installed.run("scan", str(library))
        assert result.code == 0, result.err
        assert _end(result)["counts"]["added"] == 2


async def test_scan_finds_its_way_into_a_guarded_server(program: Program, library: Path) -> None:
    assert (await program.run("token", "create", "somebody")).code == 0
    async with program.serving("--host", "0.0.0.0"):
        result = await program.run("scan", str(library), HOST="0.0.0.0")
    assert _end(result)["state"] == "complete", result.err
    assert len((await program.run("token", "list")).out.splitlines()) == 1


async def test_scan_with_the_configured_token(program: Program, library: Path) -> None:
    async with program.serving(API_TOKEN="t0ken"):
        assert _end(await program.run("scan", str(library), API_TOKEN="t0ken"))["state"] == "complete"
        refused = await program.run("scan", str(library))
    assert refused.code == 1
    assert "Traceback" not in refused.err


async def test_folder_in_a_library_directory_is_scanned_alone(program: Program, library: Path) -> None:
    await program.run("scan", str(library))
    sound.mp3(library / "elsewhere.mp3", 3)
    sound.mp3(library / "deep" / "new.mp3", 4)
    result = await program.run("scan", f"{library}/deep/../deep/")
    assert result.code == 0, result.err
    scan = _end(result)
    assert scan["path"] == "deep"
    assert scan["counts"]["added"] == 1


async def test_all_scans_every_directory(program: Program, library: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    sound.mp3(other / "three.mp3", 3)
    (library / "bad.flac").unlink()
    for folder in (library, other):
        await program.run("scan", str(folder))
    result = await program.run("scan", "--all", "--strategy", "full")
    assert result.code == 0
    ends = [line["data"]["scan"] for line in _lines(result) if line["event"].endswith(":complete")]
    assert {scan["strategy"] for scan in ends} == {"full"}
    assert len({scan["library_directory_id"] for scan in ends}) == 2


async def test_all_of_nothing_says_so(program: Program) -> None:
    result = await program.run("scan", "--all")
    assert result.code == 0
    assert "no library directories" in result.err


async def test_missing_folder_is_said(program: Program, tmp_path: Path) -> None:
    result = await program.run("scan", str(tmp_path / "nowhere"))
    assert result.code == 1
    assert "path: doesn't exist" in result.err
    assert "Traceback" not in result.err


@pytest.mark.parametrize("arguments", [(), ("x", "--all"), ("x", "--strategy", "quick")])
async def test_wrong_usage_exits_with_2(program: Program, arguments: tuple[str, ...]) -> None:
    assert (await program.run("scan", *arguments)).code == 2


async def test_terminal_shows_a_bar_and_words(program: Program, library: Path) -> None:
    for number in range(60):
        sound.mp3(library / "many" / f"{number}.mp3", 100 + number)
    shown, code = await _on_a_terminal(program, "scan", str(library))
    assert code == 1
    assert "█" in shown
    assert "/63 files" in shown
    last = shown.replace("\r\x1b[K", "\n").splitlines()
    assert f"{library}: complete: 63 found, 63 added, 1 failed" in last
    assert any(line.startswith("  bad.flac: ") for line in last)


async def _on_a_terminal(program: Program, *arguments: str) -> tuple[str, int]:
    """Run the program with a terminal as its output; what it showed, and its exit code."""
    ours, theirs = pty.openpty()
    process = await program.start(*arguments, out=theirs)
    os.close(theirs)
    shown = await asyncio.to_thread(_read_all, ours)
    return shown.decode().replace("\r\n", "\n"), await process.wait()


def _read_all(terminal: int) -> bytes:
    parts: list[bytes] = []
    while True:
        try:
            part = os.read(terminal, 65536)
        except OSError:  # how Linux says that the other side was closed
            part = b""
        if not part:
            os.close(terminal)
            return b"".join(parts)
        parts.append(part)
