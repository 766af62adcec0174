"""Configuration from the environment or a `.env` file; every variable here stands in `.env.example` too (tested)."""

from __future__ import annotations

import ipaddress
import os
import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import environs
from marshmallow import ValidationError, validate

from server import errors

DEFAULT_DATABASE_URL = "sqlite:///data/library.db"
_HOST = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\.?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """One field for each environment variable, in lower case; units as in `.env.example`."""

    host: str
    port: int
    database_url: str
    api_token: str | None
    allowed_hosts: tuple[str, ...]
    cors_origins: tuple[str, ...]
    api_rate_limit: int
    analysis_server_url: str
    analysis_server_command: str | None
    analysis_server_remote: bool
    max_concurrent_analysis: int
    analysis_max_retries: int
    analysis_timeout: int
    auto_analyze_new_tracks: bool
    stem_cache_max_bytes: int
    stem_ttl: int
    audio_server_ws_url: str
    audio_server_command: str | None
    audio_server_reconnect_delay: int
    audio_server_max_reconnect_delay: int
    audio_server_auth_token: str | None
    audio_server_key_format: str
    max_concurrent_scans: int
    scan_workers: int
    scan_process: bool
    duplicate_detection_enabled: bool
    confirm_file_deletes: bool
    event_retention_days: int
    log_level: str
    log_format: str | None
    log_file: str | None

    @property
    def is_loopback(self) -> bool:
        """Whether only programs on this machine can reach the server."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host.casefold() == "localhost"

    @property
    def is_postgres(self) -> bool:
        return self.database_url.startswith(("postgresql:", "postgres:"))

    @property
    def sqlite_path(self) -> Path:
        """The file behind a `sqlite:///relative` or `sqlite:////absolute` URL."""
        return Path(self.database_url.removeprefix("sqlite:///")).expanduser()

    @property
    def backup_folder(self) -> Path:
        """Where a cleanup keeps what it removed: beside the SQLite file, or in `data` of the working folder."""
        return (Path("data") if self.is_postgres else self.sqlite_path.parent) / "backups"

    @property
    def database_name(self) -> str:
        """What may be shown: the file, or the URL without its password."""
        if not self.is_postgres:
            return str(self.sqlite_path)
        parts = urlsplit(self.database_url)
        return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="").geturl()


def _database_url(value: str) -> None:
    file = value.removeprefix("sqlite:///")
    if file != value and file and ":memory:" not in file and not file.endswith("/"):
        return
    if urlsplit(value).scheme not in {"postgresql", "postgres"} or not urlsplit(value).path.strip("/"):
        raise ValidationError("must be sqlite:///FILE or postgresql://USER@HOST/DATABASE")


def _host(value: str) -> None:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        if not _HOST.fullmatch(value):
            raise ValidationError(f"{value!r} isn't a host name or an IP address (without a port)") from None


def _origin(value: str) -> None:
    parts = urlsplit(value)
    if (
        parts.scheme not in {"http", "https"}
        or not parts.hostname
        or value.rstrip("/") != f"{parts.scheme}://{parts.netloc}"
    ):
        raise ValidationError(f"{value!r} isn't an origin, like https://dj.example or http://localhost:5173")


def _token(value: str) -> None:
    if not (value.isascii() and value.isprintable() and " " not in value):
        raise ValidationError("must be printable ASCII without spaces, as it is sent in a header")


def _names(env: environs.Env, variable: str, check: Callable[[str], None]) -> tuple[str, ...]:
    """A list separated by commas; every item is checked."""

    def check_all(items: list[str]) -> None:
        for item in filter(None, map(str.strip, items)):
            check(item)

    found: list[str] = env.list(variable, [], validate=check_all) or []
    return tuple(filter(None, map(str.strip, found)))


def _url(*schemes: str) -> Callable[[str], None]:
    def check(value: str) -> None:
        if not value:
            return
        try:
            parts = urlsplit(value)
            is_place = bool(parts.hostname) and (parts.port or 1) > 0
        except ValueError:  # brackets that don't close, a port beyond 65535
            is_place = False
        if not is_place or parts.scheme not in schemes:
            raise ValidationError(f"must be empty or {' or '.join(s + '://' for s in schemes)}HOST[:PORT][/PATH]")

    return check


def _command(value: str) -> None:
    try:
        shlex.split(value)
    except ValueError as error:
        raise ValidationError(f"can't be split into words: {str(error).lower()}") from None


def load(env_file: Path | None = None, **overrides: object) -> Config:
    """Read the environment (and `env_file`, whose values yield to the environment's).

    `overrides` are values a command line gave, already of the right type; None means "not given".
    Raises `errors.StartupError` with one message that lists every bad value.
    """
    env = environs.Env(eager=False)
    if env_file is not None:
        _read(env, env_file)
    at_least_1 = validate.Range(min=1)
    values: dict[str, Any] = {
        "host": env.str("HOST", "127.0.0.1", validate=_host),
        "port": env.int("PORT", 3000, validate=validate.Range(0, 65535)),
        "database_url": env.str("DATABASE_URL", DEFAULT_DATABASE_URL, validate=_database_url),
        "api_token": env.str("API_TOKEN", "", validate=_token) or None,
        "allowed_hosts": _names(env, "ALLOWED_HOSTS", _host),
        "cors_origins": _names(env, "CORS_ORIGINS", _origin),
        "api_rate_limit": env.int("API_RATE_LIMIT", 600, validate=at_least_1),
        "analysis_server_url": env.str("ANALYSIS_SERVER_URL", "http://127.0.0.1:5000", validate=_url("http", "https")),
        # Not set and set to nothing differ: the embedded analyser, or one that somebody else manages.
        "analysis_server_command": env.str("ANALYSIS_SERVER_COMMAND", None, validate=_command),
        "analysis_server_remote": env.bool("ANALYSIS_SERVER_REMOTE", False),
        "max_concurrent_analysis": env.int("MAX_CONCURRENT_ANALYSIS", 2, validate=at_least_1),
        "analysis_max_retries": env.int("ANALYSIS_MAX_RETRIES", 3, validate=validate.Range(min=0)),
        "analysis_timeout": env.int("ANALYSIS_TIMEOUT", 300, validate=at_least_1),
        "auto_analyze_new_tracks": env.bool("AUTO_ANALYZE_NEW_TRACKS", True),
        "stem_cache_max_bytes": env.int("STEM_CACHE_MAX_BYTES", 2_000_000_000, validate=at_least_1),
        "stem_ttl": env.int("STEM_TTL", 3600, validate=at_least_1),
        "audio_server_ws_url": env.str("AUDIO_SERVER_WS_URL", "ws://127.0.0.1:8080", validate=_url("ws", "wss")),
        "audio_server_command": env.str("AUDIO_SERVER_COMMAND", "", validate=_command) or None,
        "audio_server_reconnect_delay": env.int("AUDIO_SERVER_RECONNECT_DELAY", 1000, validate=at_least_1),
        "audio_server_max_reconnect_delay": env.int("AUDIO_SERVER_MAX_RECONNECT_DELAY", 30000, validate=at_least_1),
        "audio_server_auth_token": env.str("AUDIO_SERVER_AUTH_TOKEN", "") or None,
        "audio_server_key_format": env.str(
            "AUDIO_SERVER_KEY_FORMAT", "name", validate=validate.OneOf(["name", "number"])
        ),
        "max_concurrent_scans": env.int("MAX_CONCURRENT_SCANS", 2, validate=at_least_1),
        "scan_process": env.bool("SCAN_PROCESS", True),
        "scan_workers": env.int("SCAN_WORKERS", os.cpu_count() or 1, validate=at_least_1),
        "duplicate_detection_enabled": env.bool("DUPLICATE_DETECTION_ENABLED", True),
        "confirm_file_deletes": env.bool("CONFIRM_FILE_DELETES", True),
        "event_retention_days": env.int("EVENT_RETENTION_DAYS", 30, validate=at_least_1),
        "log_level": env.str("LOG_LEVEL", "info", validate=validate.OneOf(["debug", "info", "warning", "error"])),
        "log_format": env.str("LOG_FORMAT", "", validate=validate.OneOf(["", "console", "json"])) or None,
        "log_file": env.str("LOG_FILE", "") or None,
    }
    problems = _problems(env)
    first, last = values["audio_server_reconnect_delay"], values["audio_server_max_reconnect_delay"]
    if first is not None and last is not None and first > last:
        problems["AUDIO_SERVER_MAX_RECONNECT_DELAY"] = ["must not be less than AUDIO_SERVER_RECONNECT_DELAY"]
    if problems:
        lines = [f"  {name}: {'; '.join(messages)}" for name, messages in sorted(problems.items())]
        raise errors.StartupError("bad configuration:\n" + "\n".join(lines))
    values.update({name: value for name, value in overrides.items() if value is not None})
    return Config(**values)


def _read(env: environs.Env, file: Path) -> None:
    if file == Path(os.devnull):
        return  # how one says "none at all"
    try:
        if not file.is_file():
            raise errors.StartupError(f"there is no file {file}")
        env.read_env(str(file), recurse=False)
    except (OSError, UnicodeDecodeError) as error:
        raise errors.StartupError(f"can't read {file}: {error}") from None


def _problems(env: environs.Env) -> dict[str, list[str]]:
    """What is wrong with which variable."""
    try:
        env.seal()
    except environs.EnvValidationError as error:
        found = error.error_messages
        assert isinstance(found, dict)
        return {name: [said] if isinstance(said, str) else list(said) for name, said in found.items()}
    return {}


def variable_names() -> tuple[str, ...]:
    """Every environment variable that Mismo reads."""
    return tuple(field.name.upper() for field in fields(Config))
