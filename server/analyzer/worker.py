"""One analysis in a process of its own: reads an order from stdin, writes a report a line to stdout.

A file that hangs, bloats or crashes a decoder takes only this process with it.
"""

import os
import resource
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

import orjson

from server.analyzer.stages import Stage

NICENESS = 15  # behind the scans that find what is to be analysed


@dataclass(frozen=True)
class Order:
    """What the server wants. `memory` in bytes of address space, `cpu_seconds` of this process."""

    path: str
    stages: tuple[str, ...]
    stem_folder: str
    stem_format: str
    memory: int
    cpu_seconds: int

    def encode(self) -> bytes:
        return orjson.dumps(asdict(self))

    @classmethod
    def decode(cls, line: bytes) -> "Order":
        fields = orjson.loads(line)
        return cls(**{**fields, "stages": tuple(fields["stages"])})


def main() -> int:
    order = Order.decode(sys.stdin.buffer.read())
    _restrain(order)
    out = _own_stdout()
    # Only now, under the limits, come the libraries that read files.
    from server.analyzer import decode, reports

    recording = reports.Recording(Path(order.path), Path(order.stem_folder), order.stem_format)
    try:
        for name in order.stages:
            stage = Stage(name)
            _write(out, {"stage": stage, "data": recording.report(stage)})
    except decode.Undecodable as error:
        _write(out, {"error": str(error), "code": "undecodable"})
    except MemoryError:
        _write(out, {"error": "the analysis needs more memory than it may use", "code": "out_of_memory"})
    except OSError as error:
        _write(out, {"error": error.strerror or str(error), "code": "io_error"})
    else:
        return 0
    return 1


def _restrain(order: Order) -> None:
    os.nice(NICENESS)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (order.cpu_seconds, order.cpu_seconds + 5))
    if sys.platform == "linux":
        # Elsewhere address space isn't limited by this, or counts what is merely mapped.
        resource.setrlimit(resource.RLIMIT_AS, (order.memory, order.memory))


def _own_stdout() -> BinaryIO:
    """Keeps stdout for reports: what a library prints goes to stderr instead."""
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return out


def _write(out: BinaryIO, report: dict[str, object]) -> None:
    out.write(orjson.dumps(report) + b"\n")
    out.flush()


if __name__ == "__main__":
    sys.exit(main())
