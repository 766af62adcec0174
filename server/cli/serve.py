"""`mismo serve`."""

from __future__ import annotations

import argparse
from pathlib import Path

from server import app
from server.cli.lock import only_one
from server.cli.output import say
from server.config import Config

NAME = "serve"
HELP = "start the server"
EXAMPLE = "mismo serve --library ~/Music --library /media/usb/DJ"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--library", type=Path, action="append", default=[], metavar="PATH", help="manage and scan this folder"
    )
    parser.add_argument("--host", help="address to listen on (HOST)")
    parser.add_argument("--port", type=int, help="port to listen on, 0 for any free one (PORT)")


async def run(config: Config, given: argparse.Namespace) -> int:
    with only_one(config):
        await app.run(config, [path.expanduser().absolute() for path in given.library], _ready)
    return 0


def _ready(_: app.App, url: str) -> None:
    say(f"Mismo is ready at {url}")
    say(f"  tracks      {url}/api/tracks")
    say(f"  live events {url.replace('http', 'ws', 1)}/ws?topics=*")
    say(f"  the API     {url}/api/docs")
