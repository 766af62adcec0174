"""How figures are taken and shown: each beside its floor or peer of the same run, as a ratio."""

from __future__ import annotations

import gc
from pathlib import Path


def leave_alone() -> None:
    """What is there by now stays: the collector's walks through it would count as times of whoever is measured."""
    gc.collect()
    gc.freeze()


def show(name: str, figure: str, floor: str, ratio: float | None) -> None:
    """One line of the table: the figure, what it is held against, and figure/floor as times."""
    print(f"{name:45} {figure:>22} {floor:>22} {'' if ratio is None else f'{ratio:.2f}':>8}", flush=True)


def resident_mb(pid: int) -> float:
    """The resident memory of a process, in MB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise ValueError(f"process {pid} has no VmRSS")


def cpu_seconds(pid: int) -> float:
    """User and system time that a process has used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100


def percentile(values: list[float], share: float) -> float:
    """The value below which a share (0-1) of the values lies; nearest rank."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def descendants(pid: int, program: str = "") -> list[int]:
    """Processes that come from another one and still run; of a program, those whose command line names it."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rsplit(") ", 1)[1].split()[1])
            except (FileNotFoundError, ProcessLookupError):
                continue
            children.setdefault(parent, []).append(int(entry.name))
    found, heads = [], [pid]
    while heads:
        heads = [child for head in heads for child in children.get(head, ())]
        found += heads
    return [child for child in found if program in Path(f"/proc/{child}/cmdline").read_text()]


def bytes_read(pid: int) -> int:
    """What the processes that read files for a server have read so far, from disk or cache."""
    return sum(_read_by(Path(f"/proc/{reader}")) for reader in descendants(pid, "server.scanning.worker"))


def _read_by(process: Path) -> int:
    for line in (process / "io").read_text().splitlines():
        if line.startswith("rchar:"):
            return int(line.split()[1])
    return 0
