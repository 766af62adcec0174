"""The examples of the README are run as they stand there, against a real server."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import sys
from pathlib import Path

import pytest

from tests.support import sound
from tests.support.application import Running

README = Path(__file__).resolve().parents[1] / "README.md"
_EXAMPLE = re.compile(r"^```sh\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def examples() -> list[str]:
    return _EXAMPLE.findall(README.read_text())


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl isn't installed")
async def test_examples_of_the_readme_work(mismo: Running, music: Path) -> None:
    found = examples()
    assert len(found) >= 10
    sound.mp3(music / "joga.mp3", 1, TIT2="Jóga", TPE1="Björk")
    directory = await mismo.added(music)
    await mismo.scanned(directory["id"])
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    for example in found[1:]:
        commands = f"set -euo pipefail\nMISMO={mismo.url}\n{example}"
        process = await asyncio.create_subprocess_exec(
            "bash", "-c", commands, env=environment,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        if "websockets" in example:
            await _sees_events(process)
            continue
        output, complaint = await process.communicate()
        assert process.returncode == 0, complaint.decode()
        assert b'"success":false' not in output, output.decode()
        assert output, example
        await mismo.app.scanner.idle()


async def _sees_events(process: asyncio.subprocess.Process) -> None:
    assert process.stdout is not None
    seen = b""
    async with asyncio.timeout(20):
        while b"track:added" not in seen:
            chunk = await process.stdout.read(65536)
            assert chunk, seen.decode()
            seen += chunk
    process.terminate()
    await process.communicate()
