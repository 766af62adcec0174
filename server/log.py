"""Logging: structlog over the standard library, so that libraries' records get the same shape."""

from __future__ import annotations

import logging
import logging.handlers
import sys

import structlog
from structlog.typing import Processor

from server import errors
from server.config import Config


def configure(config: Config) -> None:
    """Set the level, the form (`console` or `json`) and the target (standard error, or `LOG_FILE`) of all logging."""
    form = config.log_format or ("console" if sys.stderr.isatty() and not config.log_file else "json")
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    if form == "json":
        rendering: list[Processor] = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    else:
        # Plain: the values of variables, tokens among them, are nothing for a log.
        plain = structlog.dev.plain_traceback
        rendering = [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain)]
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendering],
    )
    handler = _handler(config.log_file)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(config.log_level.upper())
    # aiosqlite writes two records for each statement at DEBUG, which costs more than the statement.
    for chatty in ("aiosqlite", "asyncio", "watchfiles"):
        logging.getLogger(chatty).setLevel(max(logging.INFO, root.level))


def _handler(file: str | None) -> logging.Handler:
    if file is None:
        return logging.StreamHandler()
    try:
        return logging.handlers.WatchedFileHandler(file, encoding="utf-8")
    except OSError as error:
        raise errors.StartupError(f"can't write the log: {error}") from None


def get(name: str) -> structlog.stdlib.BoundLogger:
    """The logger of a module; `name` is the module's `__name__`."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return logger
