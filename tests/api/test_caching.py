"""ETag, 304, HEAD and X-Mismo-Seq, on every GET that answers with the API's own envelope."""

from __future__ import annotations

from pathlib import Path

from server.api.route import Route
from tests.support import sound
from tests.support.application import Running
from tests.support.client import Response

# What no event tells of can't be kept live by events.
NO_EVENTS = {"/api/watcher/status", "/api/analysis/health", "/api/analysis/server", "/api/audio-server"}


async def _targets(mismo: Running, music: Path) -> list[tuple[Route, str]]:
    """Every GET under /api with a URL that answers 200 on a library of one track."""
    sound.mp3(music / "one.mp3", 1, TIT2="One")
    directory = await mismo.added(music)
    scan = await mismo.scanned(directory["id"])
    (track,) = (await mismo.client.get("/api/tracks"))["data"]
    await mismo.settled()
    known = {
        "/settings/{key}": "/settings/server_name",
        "/library/directories/{id}": f"/library/directories/{directory['id']}",
        "/library/directories/{id}/stats": f"/library/directories/{directory['id']}/stats",
        "/scan/library/{id}/status": f"/scan/library/{directory['id']}/status",
        "/scan/{id}": f"/scan/{scan['id']}",
        "/tracks/{id}": f"/tracks/{track['id']}",
        "/tracks/{id}/hot-cues": f"/tracks/{track['id']}/hot-cues",
        "/tracks/search": "/tracks/search?q=one",
        "/tracks/facets": "/tracks/facets?fields=genre",
    }
    found = []
    for route in mismo.app.routes:
        if route.method == "GET" and route.is_enveloped and (route.path in known or "{" not in route.path):
            target = "/api" + known.get(route.path, route.path)
            status = (await mismo.client.request("GET", target)).status
            # Some have nothing to show yet, or want parameters: those are for the tests of their own domain.
            assert status in (200, 404, 422), target
            assert status == 200 or route.path not in known, target
            found += [(route, target)] if status == 200 else []
    return found


async def test_every_answer_carries_an_etag_that_spares_it_the_next_time(mismo: Running, music: Path) -> None:
    for route, target in await _targets(mismo, music):
        first = await mismo.client.request("GET", target)
        assert first.status == 200, (target, first.content)
        etag = first.headers["etag"]
        assert etag.startswith('"'), target
        assert etag.endswith('"'), target
        for offered in (etag, f"W/{etag}", f'"other", {etag}', "*"):
            again = await mismo.client.request("GET", target, headers={"If-None-Match": offered})
            assert (again.status, again.content) == (304, b""), (target, offered)
            assert again.headers["etag"] == etag
            assert ("x-mismo-seq" in again.headers) == route.is_live
        other = await mismo.client.request("GET", target, headers={"If-None-Match": '"other"'})
        assert (other.status, other.content) == (200, first.content), target


async def test_head_is_the_get_without_its_body(mismo: Running, music: Path) -> None:
    for _, target in await _targets(mismo, music):
        got, head = await mismo.client.request("GET", target), await mismo.client.request("HEAD", target)
        assert head.content == b""
        assert head.status == got.status
        for name in ("content-length", "content-type", "etag", "x-mismo-seq"):
            assert head.headers.get(name) == got.headers.get(name), (target, name)


async def test_v1_answers_the_same(mismo: Running, music: Path) -> None:
    for _, target in await _targets(mismo, music):
        plain = await mismo.client.request("GET", target)
        pinned = await mismo.client.request("GET", target.replace("/api/", "/api/v1/", 1))
        assert (pinned.status, pinned.headers.get("etag")) == (plain.status, plain.headers.get("etag")), target


async def test_lists_have_pagination_and_all_have_success(mismo: Running, music: Path) -> None:
    for route, target in await _targets(mismo, music):
        response = await mismo.client.request("GET", target)
        assert response.json["success"] is True
        assert isinstance(response.json["data"], list) == route.is_list, target
        assert ("pagination" in response.json) == route.is_list, target
        if route.is_list:
            assert set(response.json["pagination"]) == {"page", "limit", "total", "total_pages", "next_cursor"}, target


async def test_what_events_tell_of_carries_the_event_number(mismo: Running, music: Path) -> None:
    targets = await _targets(mismo, music)
    assert {target for route, target in targets if not route.is_live} <= NO_EVENTS
    for route, target in targets:
        response = await mismo.client.request("GET", target)
        assert ("x-mismo-seq" in response.headers) == route.is_live, target
        if route.is_live:
            assert response.headers["x-mismo-seq"] == str(mismo.app.log.seq), target


async def test_answer_changes_with_its_etag_when_something_is_committed(mismo: Running) -> None:
    async def ask(etag: str | None = None) -> Response:
        return await mismo.client.request(
            "GET", "/api/settings/server_name", headers={"If-None-Match": etag} if etag else None
        )

    before = await ask()
    await mismo.client.put("/api/settings/server_name", {"value": "Booth"})
    after = await ask(before.headers["etag"])
    assert after.status == 200
    assert after.json["data"]["value"] == "Booth"
    assert after.headers["etag"] != before.headers["etag"]
    assert int(after.headers["x-mismo-seq"]) == int(before.headers["x-mismo-seq"]) + 1


async def test_every_answer_says_that_its_type_is_meant(mismo: Running) -> None:
    for path in ("/api/settings", "/api/nothing", "/api/docs", "/livez", "/metrics"):
        response = await mismo.client.request("GET", path)
        assert response.headers["x-content-type-options"] == "nosniff", path
