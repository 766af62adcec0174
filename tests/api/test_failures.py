"""Whatever a client sends: one shape of failure, the right status, and never a 5xx."""

from __future__ import annotations

import gzip
from typing import Any

import pytest

from server import errors
from tests.api.raw import exchange, request
from tests.support.application import Running

JSON = "Content-Type: application/json"
SETTING = "/api/settings/server_name"
TRACK = "/api/tracks/01a1f896-8008-728c-b782-bca8fcc13b89"


async def test_unknown_path_is_a_404_problem(mismo: Running) -> None:
    for target in ("/", "/api", "/api/nothing", "/nothing", "/api/tracks/", "//api/tracks", "/api/v2/tracks"):
        (await exchange(mismo.url, request("GET", target))).assert_problem(404, "not_found")


async def test_unknown_resource_is_a_404_problem_that_names_it(mismo: Running) -> None:
    response = await mismo.client.request("GET", "/api/settings/colour")
    assert response.status == 404
    assert "colour" in response.json["detail"]
    assert (await mismo.client.request("GET", "/api/tracks/none")).status == 404


async def test_wrong_method_is_a_405_that_lists_the_right_ones(mismo: Running) -> None:
    answer = await exchange(mismo.url, request("DELETE", "/api/settings"))
    answer.assert_problem(405, "method_not_allowed")
    assert answer.headers["allow"] == "GET, HEAD"


@pytest.mark.parametrize("method", ["PROPFIND", "TRACE", "OPTIONS", "PATCH"])
async def test_strange_method_is_a_405(mismo: Running, method: str) -> None:
    (await exchange(mismo.url, request(method, "/api/settings"))).assert_problem(405, "method_not_allowed")


@pytest.mark.parametrize(
    "body",
    [b"{", b"", b'{"value": NaN}', b'{"value": Infinity}', b"{'value': 1}", b'{"value": "\xff"}', b"\xef\xbb\xbf{}",
     b'{"value": "\\ud800"}', b"[" * 100_000, b'{"value": 1}{"value": 2}'],
)  # fmt: skip
async def test_body_that_is_not_json_is_a_400(mismo: Running, body: bytes) -> None:
    (await exchange(mismo.url, request("PUT", SETTING, JSON, body=body))).assert_problem(400, "malformed_json")


@pytest.mark.parametrize("body", [b"[]", b"1", b'"text"', b"null", b"true"])
async def test_json_that_is_not_an_object_is_a_422(mismo: Running, body: bytes) -> None:
    (await exchange(mismo.url, request("PUT", SETTING, JSON, body=body))).assert_problem(422, "invalid")


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "json", ";;;", ""]
)
async def test_body_of_another_type_is_a_415(mismo: Running, kind: str) -> None:
    answer = await exchange(mismo.url, request("PUT", SETTING, f"Content-Type: {kind}", body=b'{"value": "x"}'))
    answer.assert_problem(415, "unsupported_media_type")


async def test_json_type_may_carry_a_charset(mismo: Running) -> None:
    sent = request("PUT", SETTING, "Content-Type: application/json; charset=utf-8", body='{"value": "Zoë"}'.encode())
    assert (await exchange(mismo.url, sent)).json["data"]["value"] == "Zoë"


async def test_body_of_ten_megabytes_is_a_413(mismo: Running) -> None:
    body = b'{"value": "' + b"x" * 10_000_000 + b'"}'
    (await exchange(mismo.url, request("PUT", SETTING, JSON, body=body))).assert_problem(413, "body_too_large")


async def test_body_of_ten_megabytes_without_a_length_is_a_413(mismo: Running) -> None:
    chunk = b"%x\r\n" % 65536 + b" " * 65536 + b"\r\n"
    sent = request("PUT", SETTING, JSON, "Transfer-Encoding: chunked") + chunk * 160 + b"0\r\n\r\n"
    (await exchange(mismo.url, sent)).assert_problem(413, "body_too_large")


async def test_packed_body_is_refused_before_it_is_unpacked(mismo: Running) -> None:
    body = gzip.compress(b'{"value": "' + b"x" * 50_000_000 + b'"}')
    sent = request("PUT", SETTING, JSON, "Content-Encoding: gzip", body=body)
    (await exchange(mismo.url, sent)).assert_problem(415, "unsupported_media_type")


@pytest.mark.parametrize("chunks", [b"zz\r\n", b"5\r\nabc\r\n0\r\n\r\n", b"-1\r\n\r\n"])
async def test_body_with_broken_framing_is_a_400(mismo: Running, chunks: bytes) -> None:
    sent = request("PUT", SETTING, JSON, "Transfer-Encoding: chunked") + chunks
    (await exchange(mismo.url, sent)).assert_problem(400, "malformed")


async def test_body_where_none_is_taken_is_refused(mismo: Running) -> None:
    (await exchange(mismo.url, request("DELETE", TRACK, JSON, body=b"{}"))).assert_problem(422, "invalid")
    (await exchange(mismo.url, request("DELETE", TRACK, body=b"x"))).assert_problem(415, "unsupported_media_type")


@pytest.mark.parametrize("target", ["/api/tracks?title=%FF", "/api/tracks?%C3%28=1", "/api/tracks/search?q=a%ED%A0%80"])
async def test_query_that_is_not_utf8_is_a_400(mismo: Running, target: str) -> None:
    (await exchange(mismo.url, request("GET", target))).assert_problem(400, "malformed")


async def test_path_that_is_not_utf8_names_nothing(mismo: Running) -> None:
    (await exchange(mismo.url, request("GET", "/api/settings/%FF"))).assert_problem(404, "not_found")


@pytest.mark.parametrize(
    "sent",
    [
        b"BREW /livez HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET / HTTP/9.9\r\nHost: localhost\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 100_000 + b"\r\n\r\n",
        b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"PUT /api/settings/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: many\r\n\r\n",
        b"PUT /api/settings/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n",
        b"GET http://[ HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ],
)
async def test_request_that_is_not_http_is_a_problem_too(mismo: Running, sent: bytes) -> None:
    answer = await exchange(mismo.url, sent)
    assert 400 <= answer.status < 500
    answer.assert_problem(answer.status, answer.json["code"])


async def test_unknown_expectation_is_refused_in_the_same_shape(mismo: Running) -> None:
    (await exchange(mismo.url, request("GET", "/livez", "Expect: miracles"))).assert_problem(400, "malformed")


async def test_unknown_query_parameter_is_named_wherever_it_is_sent(mismo: Running) -> None:
    for route in mismo.app.routes:
        if "{" in route.path:
            continue
        path = route.path if route.is_root else f"/api{route.path}"
        response = await mismo.client.request(route.method, f"{path}?bpm_mni=120")
        assert response.status == 422, (route.method, path, response.content)
        assert "bpm_mni" in [error["field"] for error in response.json["errors"]]


async def test_unknown_body_field_is_named(mismo: Running) -> None:
    response = await mismo.client.request("PUT", SETTING, {"value": "x", "valeu": "y"})
    assert response.status == 422
    assert response.json["errors"] == [{"field": "valeu", "message": "isn't known here"}]
    assert response.json["detail"] == "valeu: isn't known here"


async def test_every_wrong_value_is_listed(mismo: Running) -> None:
    response = await mismo.client.request("GET", "/api/tracks?limit=0&page=none&sort=colour&year_min=x")
    assert response.status == 422
    assert {error["field"] for error in response.json["errors"]} == {"limit", "page", "sort", "year_min"}


@pytest.mark.parametrize("query", ["limit=5&limit=6", "cursor=a&cursor=b", "page=1&page=1"])
async def test_parameter_given_twice_is_named(mismo: Running, query: str) -> None:
    response = await mismo.client.request("GET", f"/api/tracks?{query}")
    assert response.status == 422
    assert [error["field"] for error in response.json["errors"]] == [query.split("=", maxsplit=1)[0]]


@pytest.mark.parametrize(
    "query",
    ["limit=1001", "limit=0", "limit=-1", "limit=1e2", "limit=1_0", "limit=%D9%A5", "limit=", "limit=1.0", "page=0",
     "page=99999999999999999999", "bpm_min=nan", "bpm_min=inf", "bpm_min=1e400", "is_missing=maybe", "is_missing=",
     "year_min=99999999999999999999", "sort=title;drop", "order=up"],
)  # fmt: skip
async def test_value_outside_its_type_is_a_422(mismo: Running, query: str) -> None:
    response = await mismo.client.request("GET", f"/api/tracks?{query}")
    assert response.status == 422, response.content
    assert [error["field"] for error in response.json["errors"]] == [query.split("=", maxsplit=1)[0]]


@pytest.mark.parametrize("query", ["key=12", "key=1&key=Am&key=X", "compatible_with=13A", "genre~="])
async def test_wrong_value_of_a_repeatable_parameter_is_named_as_it_was_sent(mismo: Running, query: str) -> None:
    response = await mismo.client.request("GET", f"/api/tracks?{query}")
    assert response.status == 422
    assert [error["field"] for error in response.json["errors"]] == [query.split("=", maxsplit=1)[0]]


async def test_encoded_ampersand_belongs_to_the_value(mismo: Running) -> None:
    assert (await mismo.client.request("GET", "/api/tracks?title=a%26bpm_mni=1")).status == 200
    assert (await mismo.client.request("GET", "/api/tracks?title=a&bpm_mni=1")).status == 422


@pytest.mark.parametrize("client", ["nobody", "\u00ff", "x" * 4000])
async def test_client_header_that_names_no_websocket_client_is_refused(mismo: Running, client: str) -> None:
    answer = await exchange(mismo.url, request("GET", "/api/settings", f"X-Mismo-Client: {client}"))
    answer.assert_problem(422, "invalid")
    assert answer.json["errors"][0]["field"] == "X-Mismo-Client"


async def test_unforeseen_error_shows_nothing_of_itself(mismo: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(_: str) -> Any:
        raise RuntimeError("SELECT secret FROM tokens /etc/passwd")

    monkeypatch.setattr(mismo.app.settings, "describe", fail)
    response = await mismo.client.request("GET", SETTING)
    assert response.status == 500
    assert response.json["code"] == "internal_error"
    assert b"secret" not in response.content
    assert b"passwd" not in response.content


async def test_every_answer_has_a_request_id_of_its_own(mismo: Running) -> None:
    seen = [await mismo.client.request("GET", path) for path in ("/livez", "/livez", "/nothing", "/api/tracks")]
    assert len({response.headers["x-request-id"] for response in seen}) == 4
    assert seen[2].json["request_id"] == seen[2].headers["x-request-id"]


def test_message_of_an_error_is_its_docstring() -> None:
    assert errors.NotFound().detail == "There is nothing here."
    assert errors.Invalid.field("limit", "is too large").fields == (errors.FieldError("limit", "is too large"),)
