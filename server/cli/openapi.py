"""`mismo openapi`."""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

import orjson

from server import log
from server.cli.opened import opened
from server.cli.output import say
from server.config import Config

NAME = "openapi"
HELP = "print the API as an OpenAPI 3.1 document (or the websocket as AsyncAPI 3)"
EXAMPLE = "mismo openapi > openapi.json"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--websocket", action="store_true", help="the AsyncAPI document instead")


async def run(config: Config, given: argparse.Namespace) -> int:
    from server.system import asyncapi

    content = asyncapi.document() if given.websocket else await _openapi(config)
    say(orjson.dumps(content, option=orjson.OPT_INDENT_2).decode())
    return 0


async def _openapi(config: Config) -> dict[str, object]:
    from server import app
    from server.api.openapi import document

    # The routes are made by the composition root, which wants a database; the person's own isn't touched.
    with tempfile.TemporaryDirectory() as folder:
        scratch = replace(config, host="127.0.0.1", database_url=f"sqlite:///{Path(folder) / 'scratch.db'}")
        log.configure(replace(config, log_level="warning"))  # nobody asked about the scratch database
        async with opened(scratch) as database:
            made = await app.build(scratch, database)
            try:
                return document(made.routes)
            finally:
                await app.close(made)
