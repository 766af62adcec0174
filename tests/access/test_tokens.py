"""Bearer tokens: who needs one, how it is presented, and how it is made and revoked while the server runs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import aiohttp
import pytest

from server import app as application
from server import errors
from server.access.service import AccessService, TokenExists
from server.config import Config
from server.db.opening import open_database
from tests.conftest import make_config
from tests.support.application import Running, running
from tests.support.clock import MovedClock

# The analysis server proves itself by the secret in the address it was given; anything else is a 403.
CALLBACK = "/api/analysis/callback"
OPEN = ("/livez", "/readyz", "/api/openapi.json", "/api/asyncapi.json", "/api/docs")


@pytest.fixture
def clock() -> MovedClock:
    return MovedClock()


@pytest.fixture
async def guarded(database_url: str, clock: MovedClock) -> AsyncIterator[Running]:
    """A server that others can reach, with a token of `API_TOKEN`."""
    config = make_config(database_url=database_url, host="0.0.0.0", api_token="configured", api_rate_limit=10_000)
    async with running(config, clock) as server:
        yield server


async def _get(server: Running, authorization: str | None, path: str = "/api/settings") -> int:
    headers = {} if authorization is None else {"Authorization": authorization}
    response = await server.client.request("GET", path, headers=headers)
    if response.status == 401:
        assert response.json["code"] == "unauthorized"
        assert response.headers["www-authenticate"] == 'Bearer realm="mismo"'
    return response.status


async def _connect(
    server: Running, protocols: Sequence[str] = (), headers: dict[str, str] | None = None
) -> tuple[int, str | None]:
    """The handshake's status, and the subprotocol that was agreed on."""
    try:
        async with server.session.ws_connect(f"{server.url}/ws", protocols=protocols, headers=headers) as socket:
            assert (await socket.receive_json())["type"] == "hello"
            return 101, socket.protocol
    except aiohttp.WSServerHandshakeError as error:
        return error.status, None


async def test_on_loopback_no_token_is_needed(mismo: Running) -> None:
    assert await _get(mismo, None) == 200
    assert await _get(mismo, "Bearer whatever") == 200
    assert (await _connect(mismo))[0] == 101


async def test_a_configured_token_is_asked_for_on_loopback_too(database_url: str) -> None:
    async with running(make_config(database_url=database_url, api_token="configured")) as server:
        assert await _get(server, None) == 401
        assert await _get(server, "Bearer configured") == 200


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "mismo.local"])
async def test_server_that_others_reach_does_not_start_without_a_token(database_url: str, host: str) -> None:
    config = make_config(database_url=database_url, host=host)
    database = open_database(config)
    await database.open()
    try:
        with pytest.raises(errors.StartupError, match="mismo token create"):
            await application.build(config, database)
        await AccessService(database, MovedClock(), None).create("anybody")
        app = await application.build(config, database)
        app.file_system.close()
        await app.workers.close()
    finally:
        await database.close()


@pytest.mark.parametrize("authorization", ["Bearer configured", "bearer configured", "BEARER  configured "])
async def test_the_right_token_opens(guarded: Running, authorization: str) -> None:
    assert await _get(guarded, authorization) == 200


@pytest.mark.parametrize(
    "authorization",
    [None, "", "Bearer", "Bearer ", "Bearer configure", "Bearer configured2", "Bearer CONFIGURED", "Basic configured",
     "configured", "Bearer \u00ff", "Bearer configured, configured"],
)  # fmt: skip
async def test_anything_else_does_not(guarded: Running, authorization: str | None) -> None:
    assert await _get(guarded, authorization) == 401


async def test_every_route_but_health_and_documentation_needs_it(guarded: Running) -> None:
    for route in guarded.app.routes:
        path = ("" if route.is_root else "/api") + route.path
        response = await guarded.client.request(route.method, path.replace("{", "").replace("}", ""))
        if path.startswith(CALLBACK):
            assert response.status == 403
        else:
            assert (response.status == 401) != (path in OPEN), path
    assert await _get(guarded, None, "/nothing") == 401
    assert await _get(guarded, None, "/metrics") == 401


async def test_token_is_not_taken_from_the_url_or_from_subprotocols_of_plain_requests(guarded: Running) -> None:
    assert await _get(guarded, None, "/api/settings?token=configured") == 401
    headers = {"Sec-WebSocket-Protocol": "mismo.v1, bearer.configured"}
    assert (await guarded.client.request("GET", "/api/settings", headers=headers)).status == 401


async def test_websocket_takes_the_header_or_the_subprotocol(guarded: Running) -> None:
    assert await _connect(guarded, headers={"Authorization": "Bearer configured"}) == (101, None)
    assert await _connect(guarded, protocols=("mismo.v1", "bearer.configured")) == (101, "mismo.v1")
    for protocols in ((), ("mismo.v1",), ("mismo.v1", "bearer.wrong"), ("mismo.v1", "bearer.")):
        assert await _connect(guarded, protocols=protocols) == (401, None), protocols


async def test_token_made_while_the_server_runs_is_good_at_once(guarded: Running) -> None:
    token = await guarded.app.access.create("stage left")
    assert await _get(guarded, f"Bearer {token}") == 200
    assert (await _connect(guarded, protocols=("mismo.v1", f"bearer.{token}")))[0] == 101


async def test_token_refused_once_is_good_after_it_was_made(guarded: Running) -> None:
    """A refusal isn't remembered: whoever knocks too early isn't shut out."""
    assert await _get(guarded, "Bearer configure") == 401
    assert await _get(guarded, f"Bearer {await guarded.app.access.create('late')}") == 200


async def test_revoked_token_is_refused_within_seconds(guarded: Running, clock: MovedClock) -> None:
    token = await guarded.app.access.create("stage left")
    assert await _get(guarded, f"Bearer {token}") == 200
    # As the command line does it: by another process, which can't reach this one's memory.
    await AccessService(guarded.app.database, clock, None).revoke("stage left")
    clock.move(seconds=5)
    assert await _get(guarded, f"Bearer {token}") == 401
    assert await _get(guarded, "Bearer configured") == 200


async def test_only_digests_are_kept(guarded: Running) -> None:
    token = await guarded.app.access.create("stage left")
    rows = await guarded.app.database.fetch_all("SELECT * FROM tokens")
    assert token not in "".join(str(value) for row in rows for value in tuple(row))


async def test_names_are_listed_and_taken_once(guarded: Running, clock: MovedClock) -> None:
    access = guarded.app.access
    await access.create("one")
    clock.move(seconds=1)
    await access.create("two")
    with pytest.raises(TokenExists, match="'one'"):
        await access.create("one")
    assert [token.name for token in await access.list()] == ["one", "two"]
    await access.revoke("one")
    assert [token.name for token in await access.list()] == ["two"]
    with pytest.raises(errors.NotFound):
        await access.revoke("one")


@pytest.mark.parametrize("name", ["", " ", "a\nb", "a\tb", "x" * 101, " padded"])
async def test_name_that_a_list_could_not_show_is_refused(guarded: Running, name: str) -> None:
    with pytest.raises(errors.Invalid):
        await guarded.app.access.create(name)


async def test_token_is_long_and_never_the_same(config: Config, guarded: Running) -> None:
    tokens = {await guarded.app.access.create(str(number)) for number in range(20)}
    assert len(tokens) == 20
    assert all(len(token) > 40 for token in tokens)
