"""The `mismo` command."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from server import __version__, config, errors, log
from server.cli import access, backup, doctor, openapi, scan, serve, upgrade

_COMMANDS = (serve, scan, upgrade, backup, doctor, access, openapi)


def parser() -> argparse.ArgumentParser:
    """The whole command line; each command declares its own part."""
    root = argparse.ArgumentParser(
        prog="mismo",
        description="The open library server for DJs.",
        epilog="example: mismo serve --library ~/Music",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    root.add_argument("--version", action="version", version=f"mismo {__version__}")
    root.add_argument("--env-file", type=Path, default=Path(".env"), help="settings to read (default: .env)")
    commands = root.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in _COMMANDS:
        sub = commands.add_parser(
            command.NAME,
            help=command.HELP,
            description=command.HELP,
            epilog=f"example: {command.EXAMPLE}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.arguments(sub)
        sub.set_defaults(run=command.run)
    return root


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the exit code says how it went: 0 well, 1 not well, 2 wrong usage."""
    given = parser().parse_args(arguments)
    try:
        settings = config.load(given.env_file, host=getattr(given, "host", None), port=getattr(given, "port", None))
        log.configure(settings)
        result: int = asyncio.run(given.run(settings, given))
    except errors.StartupError as error:
        print(f"mismo: {error}", file=sys.stderr)  # noqa: T201 # the command line speaks to a person
        return 1
    except errors.MismoError as error:
        print(f"mismo: {error.detail}", file=sys.stderr)  # noqa: T201
        return 1
    except KeyboardInterrupt:
        return 130
    return result


if __name__ == "__main__":
    sys.exit(main())
