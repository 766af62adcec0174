"""At which address the analysis server reaches Mismo."""

from __future__ import annotations

import asyncio
import socket
from urllib.parse import urlsplit, urlunsplit

from yarl import URL

_ANY = frozenset({"0.0.0.0", "::"})  # noqa: S104 # what is looked for, not what is listened on


async def reachable(own: str, server: URL) -> str:
    """`own`, the URL that Mismo listens at, with an address that the server can use in place of "any address".

    Raises OSError when there is no way to the server.
    """
    parts = urlsplit(own)
    if parts.hostname not in _ANY:
        return own
    found = await asyncio.get_running_loop().getaddrinfo(server.host, server.port, type=socket.SOCK_DGRAM)
    family, kind, _, _, target = found[0]
    with socket.socket(family, kind) as probe:
        # Connecting a datagram socket sends nothing; it only picks the way, and with it the address of our own.
        probe.connect(target)
        address: str = probe.getsockname()[0]
    host = f"[{address}]" if ":" in address else address
    return urlunsplit(parts._replace(netloc=f"{host}:{parts.port}"))
