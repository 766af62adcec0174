"""The analysis protocol: what a request for a job may say, and how callbacks are written."""

import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from urllib.parse import urlsplit

import orjson

from server.analyzer.options import Options
from server.analyzer.stages import Payload, Stage

JOB_COMPLETED, JOB_FAILED = "job_completed", "job_failed"
"""What stands for the stage in the last callback of a job."""

_FIELDS = frozenset({"file_path", "track_hash", "options", "callback_url", "stem_delivery_mode"})
_HASH = re.compile(r"[A-Za-z0-9_:-]{1,128}")


class StemDelivery(StrEnum):
    """`path`: the stems report names files on this machine. `callback`: it names URLs of this server."""

    PATH = "path"
    CALLBACK = "callback"


@dataclass(frozen=True)
class Request:
    """A valid order for an analysis. `path` is None where the file comes with the request."""

    track_hash: str
    path: Path | None
    stages: tuple[Stage, ...]
    callback_url: str
    stem_delivery: StemDelivery


class Refused(Exception):
    """The request can't be accepted. `status` is the HTTP status, `code` is for programs."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


def parse(fields: object, options: Options, *, with_file: bool) -> Request:
    """Raises Refused, naming the field that is wrong."""
    if not isinstance(fields, dict):
        raise Refused(422, "malformed", "the request must be a JSON object")
    unknown = sorted(fields.keys() - _FIELDS)
    if unknown:
        raise Refused(422, "unknown_field", f"unknown field {unknown[0]!r}")
    mode = fields.get("stem_delivery_mode", StemDelivery.PATH)
    if mode not in set(StemDelivery):
        raise Refused(422, "invalid_field", "stem_delivery_mode must be 'path' or 'callback'")
    return Request(
        track_hash=_track_hash(fields.get("track_hash")),
        path=None if with_file else _file_path(fields.get("file_path")),
        stages=_stages(fields.get("options")),
        callback_url=_callback_url(fields.get("callback_url"), options.callback_hosts),
        stem_delivery=StemDelivery(mode),
    )


def check_file(path: Path, options: Options) -> Path:
    """The real path of a regular file that may be analysed. Raises Refused. May wait for the disk."""
    if not options.file_roots and not options.is_local:
        raise Refused(403, "path_forbidden", "over the network only uploads, or paths in a --file-root, are analysed")
    try:
        real = path.resolve(strict=True)
        is_regular = stat.S_ISREG(os.stat(real).st_mode)
    except (OSError, RuntimeError) as error:
        raise Refused(422, "file_missing", "file_path can't be read") from error
    if options.file_roots and not any(real.is_relative_to(root) for root in options.file_roots):
        raise Refused(403, "path_forbidden", "file_path lies outside of every --file-root")
    if not is_regular:
        raise Refused(422, "not_a_file", "file_path isn't a regular file")
    return real


def callback(job_id: str, stage: str, status: str, data: Payload) -> bytes:
    """The body of a callback. Numbers that JSON can't hold are a mistake made here, and raise ValueError."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return orjson.dumps({"job_id": job_id, "stage": stage, "status": status, "timestamp": now, "data": data})


def _track_hash(given: object) -> str:
    if not isinstance(given, str) or not _HASH.fullmatch(given):
        raise Refused(422, "invalid_field", "track_hash must be 1 to 128 letters, digits or any of _ : -")
    return given


def _file_path(given: object) -> Path:
    if not isinstance(given, str) or not given or "\0" in given:
        raise Refused(422, "invalid_field", "file_path must be a path")
    path = Path(given)
    if not path.is_absolute():
        raise Refused(422, "invalid_field", "file_path must be absolute")
    return path


def _stages(given: object) -> tuple[Stage, ...]:
    known = {"all", *Stage}
    if not isinstance(given, Mapping) or not all(isinstance(value, bool) for value in given.values()):
        raise Refused(422, "invalid_field", "options must map stages to true or false")
    unknown = sorted(str(name) for name in given if name not in known)
    if unknown:
        raise Refused(422, "unknown_field", f"unknown option {unknown[0]!r}")
    wanted = tuple(stage for stage in Stage if given.get("all") or given.get(stage))
    if not wanted:
        raise Refused(422, "invalid_field", "options ask for no stage")
    return wanted


def _callback_url(given: object, hosts: frozenset[str]) -> str:
    if not isinstance(given, str):
        raise Refused(422, "invalid_field", "callback_url must be a URL")
    try:
        parts = urlsplit(given)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise Refused(422, "invalid_field", "callback_url must be a URL") from error
    if parts.scheme not in {"http", "https"} or not host or parts.username is not None:
        raise Refused(422, "invalid_field", "callback_url must be an http URL without credentials")
    if host.lower() not in hosts:
        raise Refused(422, "callback_forbidden", f"callbacks to {host!r} aren't allowed (--allow-callback-host)")
    return given
