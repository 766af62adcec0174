"""One life of a companion as an operating-system process."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

_LAUNCHER = Path(__file__).with_name("launcher.py")
_LINE_BYTES = 8192
# Beyond the grace the launcher needs a moment to kill the group and to report.
_LAUNCHER_SECONDS = 1.0


class Process:
    """A command under the launcher, which ends all of it together with Mismo, or with itself."""

    def __init__(self, process: asyncio.subprocess.Process, grace: float):
        self._process = process
        self._grace = grace

    @classmethod
    async def start(cls, command: Sequence[str], grace: float) -> Process:
        """`grace`: seconds between SIGTERM and SIGKILL. A command that doesn't exist ends with status 127."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-I", "-S", str(_LAUNCHER), str(os.getpid()), str(grace), *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip
        return cls(process, grace)

    @property
    def pid(self) -> int:
        """The launcher's; the command's own process is its only child."""
        return self._process.pid

    async def wait(self) -> int:
        """The exit status; 128 + the signal's number for a command that a signal ended."""
        status = await self._process.wait()
        return status if status >= 0 else 128 - status

    async def stop(self) -> None:
        """SIGTERM, SIGKILL after the grace; returns when the process has ended, and at once when it had already."""
        if self._process.returncode is not None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(self._grace + _LAUNCHER_SECONDS):
                await self._process.wait()
        except TimeoutError:
            # The command dies with its launcher.
            self._process.kill()
            await self._process.wait()

    async def copy_output(self, line: Callable[[str], None]) -> None:
        """Hand over each line that the process writes, cut to a few thousand characters, until its output ends."""
        stream = self._process.stdout
        assert stream is not None
        pending = b""
        while chunk := await stream.read(_LINE_BYTES):
            *lines, pending = (pending + chunk).split(b"\n")
            for item in lines:
                line(item.decode("utf-8", "replace").rstrip())
            if len(pending) > _LINE_BYTES:
                line(pending.decode("utf-8", "replace"))
                pending = b""
        if pending:
            line(pending.decode("utf-8", "replace").rstrip())
