"""The settings of the analysis server, from its command line."""

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


@dataclass(frozen=True)
class Options:
    """`workers` is how many files are analysed at once. `cache` holds uploads and stems; None: a temporary folder
    that is removed at the end. Hosts are names or addresses without port."""

    host: str = "127.0.0.1"
    port: int = 5000
    workers: int = 2
    callback_hosts: frozenset[str] = LOOPBACK
    request_hosts: frozenset[str] = LOOPBACK
    file_roots: tuple[Path, ...] = ()
    cache: Path | None = None
    stem_format: str = "flac"
    stem_seconds: int = 3600
    upload_bytes: int = 2 << 30
    exit_with_parent: bool = False

    @property
    def is_local(self) -> bool:
        return self.host in LOOPBACK


def parse(arguments: Sequence[str] | None = None) -> Options:
    """Exits with a message on standard error when the command line is wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m server.analyzer",
        description="Analyse audio files: tempo, beats, key, loudness, waveforms. Results leave as HTTP callbacks.",
        epilog="example: python -m server.analyzer --port 5000 --workers 4",
        allow_abbrev=False,
    )
    defaults = Options()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    add = parser.add_argument
    add("--host", default=defaults.host, help="address to listen on (default: %(default)s)")
    add("--port", type=int, default=defaults.port, help="port to listen on, 0 for any (default: %(default)s)")
    add("--workers", type=_positive, default=min(cores, 4), help="files analysed at once (default: %(default)s)")
    add("--allow-callback-host", action="append", default=[], metavar="HOST", help="besides loopback; repeatable")
    add("--allow-host", action="append", default=[], metavar="HOST", help="Host header to answer to; repeatable")
    add("--file-root", action="append", default=[], type=Path, metavar="DIR", help="analyse files only in here")
    add("--cache-dir", type=Path, metavar="DIR", help="for uploads and stems (default: a temporary folder)")
    add("--stem-format", choices=("flac", "wav"), default=defaults.stem_format, help="(default: %(default)s)")
    add("--stem-ttl", type=_positive, default=defaults.stem_seconds, metavar="SECONDS", help="(default: %(default)s)")
    add("--max-upload-bytes", type=_positive, default=defaults.upload_bytes, metavar="N", help="(default: %(default)s)")
    add("--exit-with-parent", action="store_true", help="stop when the process that started this one is gone")
    given = parser.parse_args(arguments)
    return Options(
        host=given.host,
        port=given.port,
        workers=given.workers,
        callback_hosts=LOOPBACK | {host.lower() for host in given.allow_callback_host},
        request_hosts=LOOPBACK | {given.host.lower(), *(host.lower() for host in given.allow_host)},
        file_roots=tuple(root.resolve() for root in given.file_root),
        cache=given.cache_dir,
        stem_format=given.stem_format,
        stem_seconds=given.stem_ttl,
        upload_bytes=given.max_upload_bytes,
        exit_with_parent=given.exit_with_parent,
    )


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} isn't at least 1")
    return number
