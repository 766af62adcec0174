"""A small program for the supervisor to watch: `python program.py PORT [--crash] [--stubborn] [--child FILE]`."""

from __future__ import annotations

import http.server
import os
import signal
import subprocess
import sys
from pathlib import Path


class Health(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 # the base class names it so
        del format, args


def main(port: int, options: list[str]) -> None:
    if "--stubborn" in options:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if "--crash" in options:
        sys.exit("out of luck")
    if "--child" in options:
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        Path(options[options.index("--child") + 1]).write_text(f"{os.getpid()} {child.pid}")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Health)
    print("listening", flush=True)  # noqa: T201 # what the tests wait for
    server.serve_forever()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
