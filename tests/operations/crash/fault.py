"""What is asked for, and what goes wrong meanwhile."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from server.operations.model import Kind

CALLS = (
    "openat,close,newfstatat,fstat,statx,lseek,read,pread64,write,pwrite64,fsync,fdatasync,ftruncate,renameat2,renameat,"
    "rename,linkat,unlinkat,unlink,mkdirat,mkdir,rmdir,getdents64,utimensat,fchmod,fchown,fstatfs,statfs,fadvise64,"
    "readlink,readlinkat,lstat,stat,access"
)
ERRORS = ("ENOSPC", "EIO", "EXDEV", "EACCES", "EINTR")
# `+`: from that call on every time, as a disk does that is broken for good.
FAULTS = ("KILL", *ERRORS, "EIO+")
THREADS = ("disk", "database", "reader")


@dataclass(frozen=True, slots=True)
class Scenario:
    """What is asked for. `files` of the library take part; `is_undo`: it is done in peace, and its undo disturbed."""

    name: str
    kind: Kind
    target: str = ""
    files: int = 1
    is_undo: bool = False
    is_across: bool = False
    without_renameat2: bool = False


def scenarios(batch: int) -> list[Scenario]:
    return [
        Scenario("move", Kind.MOVE, "deep/er/{name}"),
        Scenario("move across", Kind.MOVE, "deep/{name}", is_across=True),
        Scenario("rename", Kind.RENAME, "A{name}"),
        Scenario("rename by link", Kind.RENAME, "A{name}", without_renameat2=True),
        Scenario("delete", Kind.DELETE),
        Scenario("restore", Kind.DELETE, is_undo=True),
        Scenario("undo", Kind.MOVE, "deep/{name}", is_undo=True),
        Scenario("undo across", Kind.MOVE, "deep/{name}", is_undo=True, is_across=True),
        Scenario("batch", Kind.MOVE, "all/{name}", files=batch),
    ]


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens (`KILL`, an error's name, with `+` for every time from then on) at which thread's k-th call."""

    what: str
    thread: str
    call: str
    k: int

    def __str__(self) -> str:
        return f"{self.what} at {self.thread} {self.call} {self.k}"

    @property
    def injection(self) -> str:
        action = "signal=KILL" if self.what == "KILL" else f"error={self.what.rstrip('+')}"
        return f"inject={self.call}:{action}:when={self.k}{'+' if self.what.endswith('+') else ''}"

    def is_seen_in(self, trace: str) -> bool:
        """Whether it came to pass, as strace tells."""
        if self.what == "KILL":
            return "killed by SIGKILL" in trace
        return any("(INJECTED)" in line and line.startswith(f"{self.call}(") for line in trace.splitlines())


@dataclass(slots=True)
class Tally:
    """What came of it."""

    runs: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        self.runs += other.runs
        self.faults += other.faults
        self.problems += other.problems
