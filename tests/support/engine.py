"""The stand-in audio engine of the tests: `engine_program.py`, a process of its own, and how a test speaks to it."""

from __future__ import annotations

import asyncio
import base64
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson

PATIENCE_SECONDS = 60
_PROGRAM = Path(__file__).with_name("engine_program.py")
_LONGEST_LINE = 64 * 1024 * 1024


class StandInEngine:
    """Remembers what it is told; says over the link what a test tells it."""

    def __init__(self, process: Process):
        self.url = ""
        self.connections = 0
        self.disconnections = 0
        self.close_codes: list[int] = []
        self.identified: list[dict[str, Any]] = []
        self.received: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._process = process
        self.is_standing_still = False
        self._is_up = False
        self._questions = 0
        self._changed = asyncio.Condition()

    async def listening(self) -> None:
        assert self._process.stdout is not None
        first = orjson.loads(await self._process.stdout.readline())
        self.url = f"ws://127.0.0.1:{first['port']}"

    async def follow(self) -> None:
        """Take in the program's reports until it ends."""
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            told = orjson.loads(line)
            if told["report"] == "message":
                self.received.put_nowait(told["message"])
                continue
            async with self._changed:
                if told["report"] == "standing_still":
                    self.is_standing_still = True
                elif told["report"] == "connected":
                    self.connections += 1
                    self._is_up = True
                    self.identified.append(told["identify"])
                else:
                    self.disconnections += 1
                    self.close_codes.append(told["code"])
                    self._is_up = self.connections > self.disconnections
                self._changed.notify_all()

    async def connected(self, times: int = 1) -> None:
        """Wait until a link was up so many times, and is."""
        async with asyncio.timeout(PATIENCE_SECONDS), self._changed:
            await self._changed.wait_for(lambda: self.connections >= times and self._is_up)

    async def disconnected(self, times: int = 1) -> None:
        """Wait until a link has ended so many times."""
        async with asyncio.timeout(PATIENCE_SECONDS), self._changed:
            await self._changed.wait_for(lambda: self.disconnections >= times)

    # -- what the program is told

    async def say(self, **message: Any) -> None:
        await self.send(orjson.dumps(message).decode())

    async def send(self, text: str | bytes) -> None:
        """A text frame; bytes need not be UTF-8."""
        if isinstance(text, str):
            await self._tell({"do": "send", "text": text})
        else:
            await self._tell({"do": "send", "base64": base64.b64encode(text).decode()})

    async def abort(self) -> None:
        """Cut the link off without a word."""
        await self._tell({"do": "abort"})

    async def close(self) -> None:
        """End the link as the protocol says."""
        await self._tell({"do": "close"})

    async def flap(self, times: int, text: str) -> None:
        """Let the link come up so many times more, say something each time, and cut it off."""
        await self._tell({"do": "flap", "times": times, "text": text})

    def has_link(self) -> bool:
        return self._is_up

    def freeze(self) -> None:
        """The process stands still: the kernel holds the connection up, and nobody is there."""
        self._process.send_signal(signal.SIGSTOP)

    async def stand_still(self, texts: Sequence[str]) -> None:
        """Freeze right after many requests, before any reply is read."""
        await self._tell({"do": "stand_still", "texts": list(texts)})
        async with asyncio.timeout(PATIENCE_SECONDS), self._changed:
            await self._changed.wait_for(lambda: self.is_standing_still)

    def thaw(self) -> None:
        self.is_standing_still = False
        self._process.send_signal(signal.SIGCONT)

    async def _tell(self, command: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(orjson.dumps(command) + b"\n")
        await self._process.stdin.drain()

    # -- what it hears

    async def hear(self) -> dict[str, Any]:
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await self.received.get()

    async def settled(self) -> None:
        """Wait until every event said so far was taken in: they are dealt with in order, and this one is answered."""
        self._questions += 1
        asked = f"settled {self._questions}"
        await self.ask(type="cuePointRemoved", deck="no such deck", index=0, requestId=asked)

    async def ask(self, **message: Any) -> dict[str, Any]:
        """Send a request and wait for the reply that names it."""
        await self.say(**message)
        while True:
            reply = await self.hear()
            if reply.get("requestId") == message.get("requestId"):
                return reply


@asynccontextmanager
async def standing_in(port: int = 0) -> AsyncIterator[StandInEngine]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(_PROGRAM), "--port", str(port), stdin=PIPE, stdout=PIPE, limit=_LONGEST_LINE
    )
    try:
        engine = StandInEngine(process)
        await engine.listening()
        following = asyncio.create_task(engine.follow())
        yield engine
    finally:
        process.kill()
        await process.wait()
    await following
