"""`mismo token`."""

from __future__ import annotations

import argparse

from server.access.service import AccessService
from server.cli.opened import opened
from server.cli.output import say
from server.clock import SystemClock, to_rfc3339
from server.config import Config

NAME = "token"
HELP = "make, list and revoke bearer tokens"
EXAMPLE = "mismo token create stage-left"


def arguments(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    create = verbs.add_parser("create", help="make a token; it is shown once", epilog=f"example: {EXAMPLE}")
    create.add_argument("name", help="what it is for")
    verbs.add_parser("list", help="the tokens there are", epilog="example: mismo token list")
    revoke = verbs.add_parser("revoke", help="forget a token", epilog="example: mismo token revoke stage-left")
    revoke.add_argument("name")


async def run(config: Config, given: argparse.Namespace) -> int:
    async with opened(config) as database:
        access = AccessService(database, SystemClock(), config.api_token)
        if given.verb == "create":
            say(await access.create(given.name))
        elif given.verb == "revoke":
            await access.revoke(given.name)
            say(f"revoked {given.name}")
        else:
            for token in await access.list():
                say(f"{token.name}\t{to_rfc3339(token.created_at)}\t{token.id}")
    return 0
