"""A Python process of Mismo's own: runs a module of this very package, and dies with the process that started it.

`python -P child.py PARENT VERSION MODULE ARGUMENT…`, started by path: `python -m` would take a folder called `server`
that lies in the working folder for the package. PARENT is the starter's process id; the kernel ends the process with
the thread that started it, however that happens (`PR_SET_PDEATHSIG`, prctl(2), Linux only). 0: nobody's end concerns
it. VERSION is the one that the module must have, or empty: after an upgrade who runs on couldn't talk to it.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import runpy
import signal
import sys
from pathlib import Path

OTHER_VERSION = 78
"""The exit status of a process that is of another version than who started it."""
_PR_SET_PDEATHSIG = 1
_ROOT = str(Path(__file__).resolve().parent.parent)


def command(module: str, *arguments: str, parent: int = 0, version: str = "") -> list[str]:
    """The command line that runs a module of the package as `__main__`."""
    return [sys.executable, "-P", __file__, str(parent), version, module, *arguments]


def _die_with(parent: int) -> None:
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        raise SystemExit("who started this process is gone")


def main() -> None:
    parent, version, module = int(sys.argv[1]), sys.argv[2], sys.argv[3]
    del sys.argv[1:4]
    if parent and sys.platform == "linux":
        _die_with(parent)
    if _ROOT not in sys.path:
        sys.path.insert(0, _ROOT)
    if version and version != importlib.import_module("server").__version__:
        sys.exit(OTHER_VERSION)
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
