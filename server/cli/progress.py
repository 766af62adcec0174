"""How scans are shown: one bar on a terminal, a line of JSON for each event behind a pipe."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from server.cli.output import is_terminal, say, say_json

_WIDTH = 30
_CLEAR_LINE = "\r\x1b[K"


class Display:
    def __init__(self) -> None:
        self._is_terminal = is_terminal()
        self._latest: dict[str, Mapping[str, Any]] = {}

    def progress(self, event: Mapping[str, Any]) -> None:
        """Show a progress event; on a terminal the bar stands for all scans together."""
        if not self._is_terminal:
            say_json(event)
            return
        self._latest[event["data"]["scan_id"]] = event["data"]
        every = self._latest.values()
        done, total = sum(data["done"] for data in every), sum(data["total"] or data["found"] for data in every)
        filled = round(_WIDTH * min(1, done / total)) if total else 0
        bar = "█" * filled + "·" * (_WIDTH - filled)
        etas = [data["eta"] for data in every if data["eta"] is not None]
        remaining = f", {max(etas):.0f} s left" if etas else ""
        rate = sum(data["rate"] for data in every)
        sys.stdout.write(f"\r{bar} {done}/{total} files, {rate:.0f}/s{remaining}\x1b[K")
        sys.stdout.flush()

    def end(self, scan: Mapping[str, Any], path: str) -> None:
        """Say how a scan went, and name the files that failed."""
        self._latest.pop(scan["id"], None)
        if not self._is_terminal:
            say_json({"event": f"library:directory:scan:{scan['state']}", "data": {"scan": scan}})
            return
        counts: Mapping[str, int] = scan["counts"]
        parts = ", ".join(f"{number} {name}" for name, number in counts.items() if number) or "nothing found"
        say(f"{_CLEAR_LINE}{path}: {scan['state']}: {parts}")
        for failure in scan["failures"]:
            say(f"  {failure['path']}: {failure['reason']} ({failure['code']})")
        if counts["failed"] > len(scan["failures"]):
            say(f"  … {counts['failed'] - len(scan['failures'])} more, see GET /api/scan/{scan['id']}")
        if scan["error"]:
            say(f"  {scan['error']}")
