"""The Host allow-list: on every route, by the address or the name itself, against DNS rebinding."""

from __future__ import annotations

import pytest

from server.api.guard import Guard
from server.config import Config
from tests.api.raw import exchange, request
from tests.conftest import make_config
from tests.support.application import Running, running

OURS = [
    "localhost", "LOCALHOST", "localhost:3000", "localhost.", "127.0.0.1", "127.0.0.1:80", "127.8.8.8", "[::1]",
    "[::1]:3000", "[0:0:0:0:0:0:0:1]:3000",
]  # fmt: skip
OTHERS = [
    "127.attacker.example", "127.0.0.1.attacker.example", "localhost.attacker.example", "attacker.example:3000", "",
    "[", "[::1", "[::2]", "0.0.0.0", "::1", "localhost:", "localhost:port", "localhost:3000:3000", "user@localhost",
    "localhost/x", "localhost?", "localhost#", "localhost,attacker.example", "attacker.example localhost", "127.1",
    "2130706433", "0x7f000001", "127.0.0.01", "localhost..", ".localhost", "loc\u00e4lhost", "[::1%25lo]",
    "[::ffff:10.0.0.1]", "10.0.0.1", "%6cocalhost",
]  # fmt: skip


@pytest.mark.parametrize("host", OURS)
async def test_loopback_names_are_let_in(mismo: Running, host: str) -> None:
    assert (await exchange(mismo.url, request("GET", "/livez", host=host))).status == 200


@pytest.mark.parametrize("host", OTHERS)
async def test_any_other_host_is_refused(mismo: Running, host: str) -> None:
    (await exchange(mismo.url, request("GET", "/livez", host=host))).assert_problem(403, "host_not_allowed")


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "[::2]"])
async def test_host_of_an_absolute_target_counts_too(mismo: Running, host: str) -> None:
    """RFC 9112, section 3.2.2: it replaces the one in the header."""
    refused = await exchange(mismo.url, request("GET", f"http://{host}/livez", host="127.0.0.1"))
    refused.assert_problem(403, "host_not_allowed")
    refused = await exchange(mismo.url, request("GET", "http://127.0.0.1/livez", host=host))
    refused.assert_problem(403, "host_not_allowed")


@pytest.mark.parametrize("host", ["localhost:3000", "127.0.0.1", "[::1]:3000"])
async def test_absolute_target_with_our_own_host_is_let_in(mismo: Running, host: str) -> None:
    assert (await exchange(mismo.url, request("GET", f"http://{host}/livez", host="127.0.0.1"))).status == 200


async def test_missing_host_is_refused(mismo: Running) -> None:
    old = b"GET /livez HTTP/1.0\r\nConnection: close\r\n\r\n"
    (await exchange(mismo.url, old)).assert_problem(403, "host_not_allowed")
    answer = await exchange(mismo.url, request("GET", "/livez", host=None))
    assert answer.status in (400, 403)


async def test_every_route_checks_the_host(mismo: Running) -> None:
    targets = [(route.method, ("" if route.is_root else "/api") + route.path) for route in mismo.app.routes]
    targets += [
        ("GET", "/ws"),
        ("GET", "/nothing"),
        ("DELETE", "/livez"),
        ("OPTIONS", "/api/tracks"),
        ("HEAD", "/livez"),
    ]
    for method, target in targets:
        answer = await exchange(
            mismo.url, request(method, target.replace("{", "").replace("}", ""), host="evil.example")
        )
        assert answer.status == 403, (method, target)
        if method != "HEAD":
            answer.assert_problem(403, "host_not_allowed")


async def test_target_with_a_host_of_its_own_does_not_stand_in_for_the_header(mismo: Running) -> None:
    answer = await exchange(mismo.url, request("GET", "http://localhost/livez", host="evil.example"))
    assert answer.status in (400, 403)


async def test_listed_hosts_and_the_bound_name_are_let_in(database_url: str) -> None:
    config = make_config(
        database_url=database_url, host="0.0.0.0", api_token="t0ken", allowed_hosts=("Mismo.Local.", "FE80:0::1")
    )
    async with running(config) as server:
        for host in ("mismo.local", "MISMO.LOCAL:3000", "[fe80::1]:3000", "0.0.0.0:3000", "localhost"):
            assert (await exchange(server.url, request("GET", "/livez", host=host))).status == 200, host
        for host in ("evil.mismo.local", "mismo.local.evil.example", "[fe80::2]"):
            (await exchange(server.url, request("GET", "/livez", host=host))).assert_problem(403, "host_not_allowed")


async def test_many_hosts_cost_no_memory(config: Config) -> None:
    guard = Guard(bound_host=config.host, allowed_hosts=(), cors_origins=(), verify_token=None)
    for port in range(1, 2000):
        guard.check_host(_Request({"Host": f"localhost:{port}"}))  # type: ignore[arg-type] # all that is read of it
    assert len(guard._known_good) <= 256


class _Request:
    def __init__(self, headers: dict[str, str]):
        self.headers = headers
        self.host = headers["Host"]
