"""`mismo serve`."""

from __future__ import annotations

import argparse
import gc
from pathlib import Path

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
    parser.add_argument("--host", type=_host, help="address to listen on (HOST)")
    parser.add_argument("--port", type=_port, help="port to listen on, 0 for any free one (PORT)")


def _host(text: str) -> str:
    if not text:
        raise argparse.ArgumentTypeError("must not be empty")
    return text


def _port(text: str) -> int:
    if not text.isdecimal() or not 0 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError("must be 0 to 65535")
    return int(text)


async def run(config: Config, given: argparse.Namespace) -> int:
    from server.app import App  # a whole server, which `mismo --help` needn't wait for
    from server.serving import serve

    with only_one(config) as lock:

        def ready(_: App, url: str) -> None:
            lock.announce(url)
            # What is there by now stays. The collector would go through all of it again and again, and nobody is
            # answered in these 50 ms.
            gc.freeze()
            _greet(url)

        await serve(config, [path.expanduser().absolute() for path in given.library], ready)
    return 0


def _greet(url: str) -> None:
    say(f"Mismo is ready at {url}")
    say(f"  tracks      {url}/api/tracks")
    say(f"  live events {url.replace('http', 'ws', 1)}/ws?topics=*")
    say(f"  the API     {url}/api/docs")
