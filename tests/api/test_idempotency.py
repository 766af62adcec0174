"""`Idempotency-Key`: a POST that is sent again does nothing again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from server.config import Config
from tests.support.application import Running, running
from tests.support.client import Response
from tests.support.clock import MovedClock

DIRECTORIES = "/api/library/directories"


@pytest.fixture
def clock() -> MovedClock:
    return MovedClock()


@pytest.fixture
async def mismo(config: Config, clock: MovedClock) -> AsyncIterator[Running]:
    """A running server whose time the test moves."""
    async with running(config, clock) as server:
        yield server


async def _add(mismo: Running, body: dict[str, Any], key: str, path: str = DIRECTORIES) -> Response:
    return await mismo.client.request("POST", path, body, headers={"Idempotency-Key": key})


async def test_same_key_and_body_returns_the_first_answer(mismo: Running, music: Path) -> None:
    first, again = [await _add(mismo, {"path": str(music)}, "one") for _ in range(2)]
    assert first.status == again.status == 201
    assert first.content == again.content
    assert first.headers["location"] == again.headers["location"]
    assert len((await mismo.client.get(DIRECTORIES))["data"]) == 1


async def test_without_a_key_the_second_is_another_request(mismo: Running, music: Path) -> None:
    await mismo.client.post(DIRECTORIES, {"path": str(music)}, status=201)
    await mismo.client.post(DIRECTORIES, {"path": str(music)}, status=409)


async def test_same_key_with_another_body_is_a_conflict(mismo: Running, music: Path) -> None:
    await _add(mismo, {"path": str(music)}, "one")
    other = await _add(mismo, {"path": str(music), "name": "Other"}, "one")
    assert (other.status, other.json["code"]) == (409, "idempotency_conflict")


async def test_both_names_of_an_endpoint_share_a_key(mismo: Running, music: Path) -> None:
    first = await _add(mismo, {"path": str(music)}, "one")
    again = await _add(mismo, {"path": str(music)}, "one", f"/api/v1{DIRECTORIES.removeprefix('/api')}")
    assert (again.status, again.content) == (201, first.content)


async def test_file_that_is_sent_again_is_taken_once(mismo: Running) -> None:
    async def sent(content: bytes, key: str) -> Response:
        headers = {"Idempotency-Key": key, "Content-Type": "audio/x-mpegurl"}
        return await mismo.client.request("POST", "/api/playlists/import?name=Mine", content=content, headers=headers)

    first, again = await sent(b"a.mp3", "one"), await sent(b"a.mp3", "one")
    assert first.status == again.status == 201
    assert first.content == again.content
    assert (await sent(b"b.mp3", "one")).json["code"] == "idempotency_conflict"
    assert (await sent(b"a.mp3", "k" * 256)).status == 422
    assert (await mismo.client.get("/api/playlists"))["pagination"]["total"] == 1


async def test_same_key_on_another_path_is_a_conflict(mismo: Running, music: Path) -> None:
    await _add(mismo, {"path": str(music)}, "one")
    other = await _add(mismo, {"path": str(music)}, "one", "/api/v1/library/directories/check-all-availability")
    assert (other.status, other.json["code"]) == (409, "idempotency_conflict")


async def test_of_many_at_once_one_is_done_and_all_agree(mismo: Running, music: Path) -> None:
    answers = await asyncio.gather(*[_add(mismo, {"path": str(music)}, "one") for _ in range(20)])
    done = [answer for answer in answers if answer.status == 201]
    waiting = [answer for answer in answers if answer.status == 409]
    assert len(done) + len(waiting) == 20
    assert len({answer.content for answer in done}) == 1
    assert {answer.json["code"] for answer in waiting} <= {"idempotency_conflict"}
    assert (await _add(mismo, {"path": str(music)}, "one")).content == done[0].content
    assert len((await mismo.client.get(DIRECTORIES))["data"]) == 1


async def test_failed_first_request_leaves_the_key_free(mismo: Running, music: Path) -> None:
    body = {"path": str(music / "later")}
    assert (await _add(mismo, body, "one")).status == 422
    (music / "later").mkdir()
    assert (await _add(mismo, body, "one")).status == 201


async def test_body_that_fails_validation_leaves_the_key_free(mismo: Running, music: Path) -> None:
    assert (await _add(mismo, {"paht": str(music)}, "one")).status == 422
    assert (await _add(mismo, {"path": str(music)}, "one")).status == 201


async def test_key_is_kept_for_a_day(mismo: Running, music: Path, clock: MovedClock) -> None:
    first = await _add(mismo, {"path": str(music)}, "one")
    clock.move(hours=23.9)
    assert (await _add(mismo, {"path": str(music)}, "one")).content == first.content
    clock.move(hours=0.2)
    late = await _add(mismo, {"path": str(music)}, "one")
    assert (late.status, late.json["code"]) == (409, "directory_exists")


async def test_key_of_a_request_that_never_got_its_answer_comes_free(
    mismo: Running, music: Path, clock: MovedClock
) -> None:
    """The process died between reserving the key and storing an answer."""
    keys = mismo.app.idempotency
    assert await keys.reserve("one", "POST", DIRECTORIES, b"{}") is None
    assert (await _add(mismo, {"path": str(music)}, "one")).status == 409
    clock.move(seconds=61)
    assert (await _add(mismo, {"path": str(music)}, "one")).status == 201


async def test_key_survives_a_restart(config: Config, music: Path) -> None:
    answers = []
    for _ in range(2):
        async with running(config) as server:
            answers.append(await _add(server, {"path": str(music)}, "one"))
    assert answers[0].content == answers[1].content


@pytest.mark.parametrize("key", ["", "x" * 256, "a\tb", "\u00e4"])
async def test_key_that_is_no_plain_text_is_refused(mismo: Running, music: Path, key: str) -> None:
    answer = await _add(mismo, {"path": str(music)}, key)
    assert answer.status == 422
    assert [error["field"] for error in answer.json["errors"]] == ["Idempotency-Key"]
    assert (await mismo.client.get(DIRECTORIES))["data"] == []


async def test_queued_work_is_answered_with_the_same_job(mismo: Running, music: Path) -> None:
    directory = await mismo.added(music)
    first, again = [await _add(mismo, {}, "scan", f"/api/scan/library/{directory['id']}") for _ in range(2)]
    assert first.status == again.status == 202
    assert first.content == again.content
    assert first.headers["location"] == f"/api/scan/{first.json['data']['id']}"
