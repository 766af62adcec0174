"""The worker process: takes requests on standard input, answers on standard output, and has limits on what it may use.

A request is an `Order` with its `Task`s; the answer comes as lists of `Outcome`s, so that what was read is known to the
server even if a later file of the same request ends this process.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
import time
from typing import Any, BinaryIO

from server.scanning import frame
from server.scanning.reader import Order, Outcome, Task, read_task

MEMORY_BYTES = 512 * 1024 * 1024
CPU_SECONDS = 30
FLUSH_SECONDS = 0.5


def main() -> None:
    """Serve requests until the server closes the pipe, or is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the server stops its workers itself
    os.nice(10)  # behind whatever answers people, before the analysis of what it finds
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # What a parser prints must not end up among the answers.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb", buffering=0)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    requests = sys.stdin.buffer
    while (request := receive(requests)) is not None:
        order, tasks = request
        serve(order, tasks, answers)


def serve(order: Order, tasks: list[Task], answers: BinaryIO) -> None:
    outcomes: list[Outcome] = []
    flushed = time.monotonic()
    for task in tasks:
        used = resource.getrusage(resource.RUSAGE_SELF)
        seconds = int(used.ru_utime + used.ru_stime) + CPU_SECONDS
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, resource.RLIM_INFINITY))
        outcomes.append(read_task(task, order))
        if time.monotonic() - flushed > FLUSH_SECONDS and len(outcomes) < len(tasks):
            send(answers, outcomes)
            outcomes, flushed = [], time.monotonic()
    send(answers, outcomes)


def send(stream: BinaryIO, message: Any) -> None:
    data = memoryview(frame.pack(message))
    while data:
        data = data[stream.write(data) :]


def receive(stream: BinaryIO) -> Any:
    """The next message, or None when the other side has closed the pipe."""
    head = stream.read(frame.HEAD)
    return frame.unpack(stream.read(frame.length(head))) if len(head) == frame.HEAD else None


if __name__ == "__main__":
    main()
