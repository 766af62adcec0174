"""The `mismo` command."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from server import __version__, config, errors, log
from server.cli import access, backup, doctor, openapi, scan, serve, upgrade
from server.cli.output import complain

_ENV_FILE = Path(".env")
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
    root.add_argument("--env-file", type=Path, help="settings to read (default: .env, if there is one)")
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
    env_file = given.env_file or (_ENV_FILE if _ENV_FILE.is_file() else None)
    try:
        settings = config.load(env_file, host=getattr(given, "host", None), port=getattr(given, "port", None))
        log.configure(settings)
        result: int = asyncio.run(given.run(settings, given))
    except (errors.StartupError, errors.MismoError) as error:
        complain(str(error))
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read the output has seen enough (`| head`). Python would complain once more when it closes the pipe.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return result


if __name__ == "__main__":
    sys.exit(main())
