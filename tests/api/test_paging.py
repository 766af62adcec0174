"""Pages by number and by cursor, seen from outside; and cursors that no answer gave."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server import errors
from server.api.paging import decode_cursor, encode_cursor
from tests.support import sound
from tests.support.application import Running

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=5),
    max_leaves=10,
)


@pytest.fixture
async def library(mismo: Running, music: Path) -> Running:
    """Seven tracks, a to g."""
    for number, name in enumerate("abcdefg"):
        sound.mp3(music / f"{name}.mp3", number, TIT2=name, TPE1="same")
    await mismo.scanned((await mismo.added(music))["id"])
    return mismo


async def _titles(library: Running, **query: Any) -> tuple[list[str], dict[str, Any]]:
    answer = await library.client.get("/api/tracks", **query)
    return [track["title"] for track in answer["data"]], answer["pagination"]


async def test_pages_by_number_add_up_to_the_list(library: Running) -> None:
    pages = [await _titles(library, sort="title", limit=3, page=page) for page in (1, 2, 3, 4)]
    assert [titles for titles, _ in pages] == [["a", "b", "c"], ["d", "e", "f"], ["g"], []]
    assert [page["page"] for _, page in pages] == [1, 2, 3, 4]
    assert {(page["total"], page["total_pages"], page["limit"]) for _, page in pages} == {(7, 3, 3)}
    assert [page["next_cursor"] is None for _, page in pages] == [False, False, True, True]


async def test_cursors_lead_through_the_whole_list(library: Running) -> None:
    seen, page = await _titles(library, sort="artist,-title", limit=2)
    while page["next_cursor"]:
        titles, page = await _titles(library, sort="artist,-title", limit=2, cursor=page["next_cursor"])
        assert page["page"] is None
        seen += titles
    assert seen == list("gfedcba")


async def test_page_and_cursor_together_are_refused(library: Running) -> None:
    _, page = await _titles(library, limit=2)
    answer = await library.client.get("/api/tracks", status=422, limit=2, page=2, cursor=page["next_cursor"])
    assert [error["field"] for error in answer["errors"]] == ["page"]


async def test_cursor_of_another_order_is_refused(library: Running) -> None:
    _, page = await _titles(library, limit=2, sort="title")
    answer = await library.client.get("/api/tracks", status=422, limit=2, sort="artist", cursor=page["next_cursor"])
    assert [error["field"] for error in answer["errors"]] == ["cursor"]


async def test_cursor_with_any_letter_changed_is_refused(library: Running) -> None:
    _, page = await _titles(library, limit=2, sort="title")
    cursor = page["next_cursor"]
    changed = [cursor[:at] + ("A" if letter != "A" else "B") + cursor[at + 1 :] for at, letter in enumerate(cursor)]
    for tampered in [*changed, cursor[:-1], cursor + "A", cursor + "=", cursor * 2]:
        answer = await library.client.get("/api/tracks", status=422, limit=2, sort="title", cursor=tampered)
        assert [error["field"] for error in answer["errors"]] == ["cursor"]


@pytest.mark.parametrize(
    "position",
    [None, [], {}, [7, ["title_fold"], ["b", 2]], [10**30, ["title_fold"], ["b", 10**30]], ["x"], [[[[[[]]]]]]],
)
async def test_cursor_made_by_hand_is_refused(library: Running, position: Any) -> None:
    content = str(position).replace("'", '"').replace("None", "null").encode()
    cursor = base64.urlsafe_b64encode(content).decode().rstrip("=")
    await library.client.get("/api/tracks", status=422, sort="title", cursor=cursor)


@given(JSON)
def test_cursor_gives_back_its_position(position: Any) -> None:
    cursor = encode_cursor(position)
    assert cursor.isascii()
    assert set(cursor).isdisjoint("+/=&?#% ")
    assert decode_cursor(cursor) == orjson.loads(orjson.dumps(position))


@given(st.text(max_size=60) | st.binary(max_size=60).map(lambda raw: base64.urlsafe_b64encode(raw).decode()))
def test_text_that_is_no_cursor_is_invalid(text: str) -> None:
    with pytest.raises(errors.Invalid):
        decode_cursor(text)


async def test_names_of_a_repeated_list_add_up(library: Running) -> None:
    """Of `sort=artist&sort=-title` neither is dropped."""
    answer = await library.client.get("/api/tracks?sort=artist&sort=-title")
    assert [track["title"] for track in answer["data"]] == list("gfedcba")
