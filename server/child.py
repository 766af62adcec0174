"""A Python process of Mismo's own: runs a module of this very package, and dies with the process that started it.

`python -P child.py PARENT MODULE ARGUMENT…`, started by path: `python -m` would take a folder called `server` that lies
in the working folder for the package. PARENT is the starter's process id; the kernel ends the process with the thread
that started it, however that happens (`PR_SET_PDEATHSIG`, prctl(2), Linux only). 0: nobody's end concerns it.
"""

from __future__ import annotations

import ctypes
import os
import runpy
import signal
import sys
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_ROOT = str(Path(__file__).resolve().parent.parent)


def command(module: str, *arguments: str, parent: int = 0) -> list[str]:
    """The command line that runs a module of the package as `__main__`."""
    return [sys.executable, "-P", __file__, str(parent), module, *arguments]


def _die_with(parent: int) -> None:
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        raise SystemExit("who started this process is gone")


def main() -> None:
    parent, module = int(sys.argv[1]), sys.argv[2]
    del sys.argv[1:3]
    if parent and sys.platform == "linux":
        _die_with(parent)
    if _ROOT not in sys.path:
        sys.path.insert(0, _ROOT)
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
