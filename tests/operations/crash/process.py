"""Work in a process of its own: undisturbed, or with one of its threads under strace."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import subprocess
import time
import traceback
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

Work = Callable[[], Awaitable[Any]]


def in_child(work: Work) -> Any:
    """Run something in a process of its own, undisturbed; answers what it returned."""
    read_end, write_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        _be_child(work, write_end)
    os.close(write_end)
    with os.fdopen(read_end, "rb") as answers:
        content = answers.read()
    _, status = os.waitpid(pid, 0)
    if status != 0:
        raise RuntimeError(f"the undisturbed process ended with {status}")
    return json.loads(content)


@dataclass(frozen=True, slots=True)
class Gate:
    """Where a process tells which of its threads is to be traced, and waits until it is."""

    ready: int
    go: int

    async def passed(self, thread_id: int) -> None:
        os.write(self.ready, str(thread_id).encode())
        await asyncio.to_thread(os.read, self.go, 1)


def under_strace(work: Callable[[Gate], Awaitable[Any]], folder: Path, options: Sequence[str]) -> str:
    """Run something in a process of its own, whose thread of choice is traced from its gate on; strace's log."""
    ready_read, ready_write = os.pipe()
    go_read, go_write = os.pipe()
    said = folder / "said"
    pid = os.fork()
    if pid == 0:
        # What a disturbed process has to say is noise, unless it never got as far as being disturbed.
        output = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.close(ready_read)
        os.close(go_write)
        _be_child(lambda: work(Gate(ready_write, go_read)), ready_write)
    os.close(ready_write)
    os.close(go_read)
    answer = os.read(ready_read, 32)
    if not answer:
        raise RuntimeError(said.read_text())
    log = folder / "strace"
    command = ["strace", "-qq", "-p", answer.decode(), "-o", str(log), *options]
    tracer = subprocess.Popen(command, stderr=subprocess.PIPE)
    try:
        _wait_until_traced(int(answer), tracer)
    except FileNotFoundError:
        raise RuntimeError(f"the process ended before it was traced: {said.read_text()}") from None
    os.write(go_write, b"g")
    os.close(go_write)
    with os.fdopen(ready_read, "rb") as answers:
        answers.read()
    os.waitpid(pid, 0)
    tracer.terminate()
    tracer.communicate()
    return log.read_text(errors="replace")


def _wait_until_traced(thread_id: int, tracer: subprocess.Popen[bytes]) -> None:
    while "TracerPid:\t0" in Path(f"/proc/{thread_id}/status").read_text():
        if tracer.poll() is not None:
            raise RuntimeError(f"strace ended: {tracer.communicate()[1].decode()}")
        time.sleep(0.001)


def _be_child(work: Work, write_end: int) -> None:
    code = 1
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        result = asyncio.run(_awaited(work))
        os.write(write_end, json.dumps(result).encode())
        code = 0
    except BaseException:  # a child must never go on as its parent
        traceback.print_exc()
    os._exit(code)


async def _awaited(work: Work) -> Any:
    return await work()
