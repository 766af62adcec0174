"""Starting the worker process and reading its reports."""

import asyncio
import os
import signal
from collections.abc import AsyncGenerator
from contextlib import suppress
from pathlib import Path

import orjson

from server import child
from server.analyzer.stages import Payload, Stage
from server.analyzer.worker import Order

MEMORY_LIMIT = 4 << 30
"""Bytes of address space of a worker; what it really uses is a fraction of that."""
CPU_LIMIT = 3600
"""Seconds of processor time of a worker."""
STAGE_LIMIT = 7200.0
"""Seconds a stage may take by the clock: a disk that doesn't answer takes no processor time."""

_LONGEST_LINE = 64 << 20
_STDERR_KEPT = 2000


class AnalysisFailed(Exception):
    """The worker couldn't do what was asked. `code` is for programs."""

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code


async def analyse(
    path: Path, stages: tuple[Stage, ...], stem_folder: Path, stem_format: str
) -> AsyncGenerator[tuple[Stage, Payload], None]:
    """Yields each stage with its report as it is done. Closing the iterator, or cancelling it, ends the process.

    Raises AnalysisFailed.
    """
    order = Order(str(path), tuple(stages), str(stem_folder), stem_format, MEMORY_LIMIT, CPU_LIMIT)
    process = await _start()
    assert process.stdin is not None and process.stdout is not None and process.stderr is not None
    complaints = asyncio.create_task(_tail(process.stderr))
    try:
        with suppress(BrokenPipeError, ConnectionResetError):
            process.stdin.write(order.encode())
            await process.stdin.drain()
            process.stdin.close()
        failure: AnalysisFailed | None = None
        while line := await asyncio.wait_for(process.stdout.readline(), STAGE_LIMIT):
            report = orjson.loads(line)
            if "error" in report:
                failure = AnalysisFailed(report["error"], report["code"])
            else:
                yield Stage(report["stage"]), report["data"]
        status = await process.wait()
        if failure:
            raise failure
        if status:
            raise AnalysisFailed(_obituary(status, await complaints), "worker_died")
    except TimeoutError as error:
        raise AnalysisFailed(f"a stage took more than {STAGE_LIMIT:.0f} s", "timeout") from error
    finally:
        await _end(process)
        complaints.cancel()


async def _start() -> asyncio.subprocess.Process:
    starting = asyncio.create_task(
        asyncio.create_subprocess_exec(
            *child.command(f"{__package__}.worker", parent=os.getpid()),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=_LONGEST_LINE,
            start_new_session=True,
            # One core a job: more threads would only make its memory and its share of the machine grow.
            env=os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"},
        )
    )
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        # A process half started has nobody yet who would end it.
        await _end(await starting)
        raise


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


async def _tail(stream: asyncio.StreamReader) -> str:
    kept = b""
    while chunk := await stream.read(4096):
        kept = (kept + chunk)[-_STDERR_KEPT:]
    return kept.decode(errors="replace").strip()


def _obituary(status: int, complaints: str) -> str:
    if status == -signal.SIGXCPU:
        return f"the analysis took more than {CPU_LIMIT} s of processor time"
    how = f"killed by {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
    last_line = complaints.rpartition("\n")[2]
    return f"the analysis process ended early ({how}){': ' + last_line if last_line else ''}"
