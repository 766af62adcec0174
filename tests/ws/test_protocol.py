"""What is said over `/ws`, message by message."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import orjson
import pytest

from server import __version__
from tests.support import sound
from tests.support.application import Running
from tests.support.websocket import Socket
from tests.ws.changes import announce, touch, values


async def test_server_speaks_first_and_says_where_the_log_stands(mismo: Running) -> None:
    await announce(mismo, 3)
    async with mismo.socket() as socket:
        head = mismo.app.log.head
        hello = socket.hello
    client_id = hello.pop("client_id")
    assert hello == {
        "type": "hello", "server": "mismo", "version": __version__, "epoch": head.epoch, "seq": 3, "oldest_seq": 1,
        "heartbeat": 25,
    }  # fmt: skip
    async with mismo.socket() as socket:
        assert socket.hello["client_id"] != client_id


async def test_replies_echo_the_id_they_answer(mismo: Running) -> None:
    async with mismo.socket() as socket:
        for message_id in "1", 2, 0, "":
            await socket.send(type="subscribe", id=message_id, topics=["setting:updated"])
            reply = await socket.receive()
            assert reply == {"type": "subscribed", "id": message_id, "topics": ["setting:updated"], "seq": 0}
            await socket.send(type="ping", id=message_id)
            assert await socket.receive() == {"type": "pong", "id": message_id, "seq": 0}
            await socket.send(type="unsubscribe", id=message_id, topics=["setting:updated"])
            assert await socket.receive() == {"type": "unsubscribed", "id": message_id, "topics": [], "seq": 0}
        await socket.send(type="ping")
        assert await socket.receive() == {"type": "pong", "seq": 0}


@pytest.mark.parametrize(
    ("message", "code", "message_id"),
    [
        ("{", "malformed_json", None),
        ("[1]", "not_understood", None),
        ('{"type":"dance","id":"a"}', "unknown_type", "a"),
        ('{"id":7}', "unknown_type", 7),
        ('{"type":["ping"]}', "unknown_type", None),
        ('{"type":"subscribe","id":"b"}', "invalid", "b"),
        ('{"type":"subscribe","id":"b","topics":[]}', "invalid", "b"),
        ('{"type":"subscribe","id":"b","topics":"track:*"}', "invalid", "b"),
        ('{"type":"subscribe","id":"b","topics":["Track:*"]}', "invalid", "b"),
        ('{"type":"subscribe","id":"b","topics":["track*"]}', "invalid", "b"),
        ('{"type":"subscribe","id":"b","topics":["*"],"since":-1}', "invalid", "b"),
        ('{"type":"subscribe","id":"b","topics":["*"],"since":"1"}', "invalid", "b"),
        ('{"type":"subscribe","id":"b","topics":["*"],"detail":"all"}', "invalid", "b"),
        ('{"type":"subscribe","id":"b","topics":["*"],"sinse":1}', "unknown_field", "b"),
        ('{"type":"ping","id":"b","topics":["*"]}', "unknown_field", "b"),
        ('{"type":"subscribe","id":"b","topics":["*","track:updted"]}', "unknown_topic", "b"),
        ('{"type":"subscribe","id":"b","topics":["library:directory"]}', "unknown_topic", "b"),
        ('{"type":"subscribe","id":"b","topics":["library:directory:added:*"]}', "unknown_topic", "b"),
        ('{"type":"subscribe","id":"b","topics":["lib:*"]}', "unknown_topic", "b"),
        ('{"type":"subscribe","id":[1.5,{"a":true}],"topics":[]}', "invalid", [1.5, {"a": True}]),
        (f'{{"type":"ping","id":{"[" * 254}{"]" * 254}}}', "not_understood", None),
    ],
)
async def test_message_that_is_not_understood_is_an_error_and_the_connection_lives_on(
    mismo: Running, message: str, code: str, message_id: object
) -> None:
    async with mismo.socket("setting:updated") as socket:
        await socket.raw.send_str(message)
        error = await socket.receive()
        assert (error["type"], error["id"], error["code"]) == ("error", message_id, code)
        assert error["detail"]
        last = await announce(mismo, 1)
        assert len(await socket.up_to(last)) == 1


async def test_binary_message_is_an_error_and_the_connection_lives_on(mismo: Running) -> None:
    async with mismo.socket() as socket:
        await socket.raw.send_bytes(b'{"type":"ping"}')
        assert (await socket.receive())["code"] == "binary"
        await socket.send(type="ping")
        assert (await socket.receive())["type"] == "pong"


async def test_oversized_message_ends_its_connection_and_no_other(mismo: Running) -> None:
    async with mismo.socket("*") as other, mismo.socket("*") as socket:
        await socket.raw.send_str('{"type":"ping","id":"' + "x" * 100_000 + '"}')
        message = await socket.raw.receive()
        assert message.type is aiohttp.WSMsgType.CLOSE
        assert message.data == aiohttp.WSCloseCode.MESSAGE_TOO_BIG
        last = await announce(mismo, 1)
        assert len(await other.up_to(last)) == 1


async def test_ping_of_the_websocket_itself_is_answered(mismo: Running) -> None:
    async with mismo.session.ws_connect(f"{mismo.url}/ws", autoping=False) as raw:
        await raw.receive()
        await raw.ping(b"there?")
        message = await raw.receive()
    assert (message.type, message.data) == (aiohttp.WSMsgType.PONG, b"there?")


async def test_nothing_is_sent_before_a_subscribe(mismo: Running) -> None:
    async with mismo.socket() as socket:
        await announce(mismo, 3)
        await mismo.settled()
        await socket.subscribe("*")
        last = await announce(mismo, 1, start=7)
        assert values(await socket.up_to(last)) == [7]


@pytest.mark.parametrize(
    ("topics", "names"),
    [
        (["*"], ["setting:updated", "library:directory:added", "track:updated"]),
        (["setting:updated"], ["setting:updated"]),
        (["setting:*"], ["setting:updated"]),
        (["library:*"], ["library:directory:added"]),
        (["library:directory:*"], ["library:directory:added"]),
        (["track:updated", "setting:*"], ["setting:updated", "track:updated"]),
        (["track:*", "track:updated", "*"], ["setting:updated", "library:directory:added", "track:updated"]),
    ],
)
async def test_topic_is_a_name_or_a_prefix_or_everything(
    mismo: Running, music: object, topics: list[str], names: list[str]
) -> None:
    async with mismo.socket(*topics) as socket:
        await announce(mismo, 1)
        await mismo.added(music, watch=False)
        await touch(mismo, "nobody")
        await mismo.settled()
        await socket.subscribe("*")
        last = await announce(mismo, 1, start=99)
        events = await socket.up_to(last)
    before = [event["event"] for event in events if event["data"].get("value") != 99]
    assert [name for name in before if name in ("setting:updated", "library:directory:added", "track:updated")] == names


async def test_unsubscribed_topic_is_silent_and_the_others_go_on(mismo: Running) -> None:
    async with mismo.socket("setting:*", "track:*") as socket:
        await socket.send(type="unsubscribe", topics=["setting:*"])
        reply = await socket.reply("unsubscribed")
        assert reply["topics"] == ["track:*"]
        await announce(mismo, 2)
        last = await touch(mismo, "nobody")
        assert [event["event"] for event in await socket.up_to(last)] == ["track:updated"]


async def test_address_with_topics_subscribes_on_connecting(mismo: Running) -> None:
    await announce(mismo, 4)
    async with mismo.session.ws_connect(f"{mismo.url}/ws?topics=setting:*,%20track:*&since=2") as raw:
        socket = Socket(raw)
        assert (await socket.receive())["type"] == "hello"
        assert (await socket.receive())["topics"] == ["setting:*", "track:*"]
        assert values(await socket.up_to(4)) == [2, 3]


async def test_error_names_what_is_wrong_in_words(mismo: Running) -> None:
    async with mismo.socket() as socket:
        await socket.send(type="subscribe", topics=["track:*", "Track"], since="1")
        detail = (await socket.receive())["detail"]
        assert detail == "topics[1]: must be an event name, a prefix ending in ':*', or '*'; since: Not a valid integer"
        await socket.send(type="subscribe", topics=["track:*", "track:updted", "no:*"])
        assert (await socket.receive())["detail"] == "topics: there is no event track:updted, no:*"


async def test_topics_may_be_repeated_in_the_url(mismo: Running) -> None:
    async with mismo.session.ws_connect(f"{mismo.url}/ws?topics=track:*,cue:*&topics=setting:*") as raw:
        await raw.receive()
        assert (await raw.receive_json())["topics"] == ["cue:*", "setting:*", "track:*"]


@pytest.mark.parametrize(
    "query",
    ["topics=*&since=yesterday", "since=3", "topics=", "topic=*", "topics=*&detail=most", "topics=*&since=1&since=2",
     "topics=*&type=ping", "topics=tracks:*"],
)  # fmt: skip
async def test_address_that_is_not_understood_is_an_error_and_the_connection_lives_on(
    mismo: Running, query: str
) -> None:
    async with mismo.session.ws_connect(f"{mismo.url}/ws?{query}") as raw:
        socket = Socket(raw)
        await socket.receive()
        assert (await socket.receive())["type"] == "error"
        await socket.subscribe("*")


async def _two_tracks(mismo: Running, music: Any) -> list[dict[str, Any]]:
    sound.mp3(music / "one.mp3", 1)
    sound.mp3(music / "two.mp3", 2)
    directory = await mismo.added(music)
    await mismo.scanned(directory["id"])
    await mismo.settled()
    tracks: list[dict[str, Any]] = (await mismo.client.get("/api/tracks"))["data"]
    return tracks


async def test_full_detail_carries_resources_as_get_returns_them_and_ids_only_ids(mismo: Running, music: Any) -> None:
    first, second = await _two_tracks(mismo, music)
    async with mismo.socket("track:updated") as full, mismo.socket("track:updated", detail="ids") as ids:
        last = await touch(mismo, first["id"], second["id"])
        (event,) = await full.up_to(last)
        (brief,) = await ids.up_to(last)
    assert event["data"]["ids"] == [first["id"], second["id"]]
    assert event["data"]["tracks"] == [first, second]
    assert brief["data"]["ids"] == [first["id"], second["id"]]
    assert "tracks" not in brief["data"]
    assert {key: event[key] for key in ("seq", "event", "ts")} == {key: brief[key] for key in ("seq", "event", "ts")}


async def test_resource_that_is_gone_when_its_event_is_sent_is_left_out(mismo: Running, music: Any) -> None:
    first, second = await _two_tracks(mismo, music)
    seq = mismo.app.log.seq
    await touch(mismo, first["id"], second["id"])
    await mismo.client.delete(f"/api/tracks/{first['id']}")
    async with mismo.socket("track:*", since=seq) as socket:
        updated, deleted = await socket.up_to(mismo.app.log.seq)
    assert updated["data"]["ids"] == [first["id"], second["id"]]
    assert [track["id"] for track in updated["data"]["tracks"]] == [second["id"]]
    assert deleted["data"] == {"ids": [first["id"]]}


async def test_two_subscriptions_give_an_event_once_in_the_fuller_detail(mismo: Running, music: Any) -> None:
    first, _ = await _two_tracks(mismo, music)
    async with mismo.socket("*", detail="ids") as socket:
        await socket.subscribe("track:*")
        last = await touch(mismo, first["id"])
        (event,) = await socket.up_to(last)
    assert event["data"]["tracks"] == [first]


async def test_event_for_one_client_reaches_it_alone_live_and_replayed(mismo: Running) -> None:
    async with mismo.socket("*") as one, mismo.socket("*") as other:
        await announce(mismo, 1, client_id=one.hello["client_id"])
        last = await announce(mismo, 1, start=5)
        assert values(await one.up_to(last)) == [0, 5]
        assert values(await other.up_to(last)) == [5]
        for socket, expected in (one, [0, 5]), (other, [5]):
            socket.events.clear()
            await socket.subscribe("*", since=0)
            assert values(await socket.up_to(last)) == expected


async def test_event_has_the_form_of_the_contract(mismo: Running) -> None:
    async with mismo.socket("*") as socket:
        await announce(mismo, 1)
        message = await socket.receive()
    assert message == {
        "type": "events",
        "events": [
            {"seq": 1, "event": "setting:updated", "ts": message["events"][0]["ts"], "data": {"key": "n", "value": 0}}
        ],
    }
    assert orjson.dumps(message["events"][0]["ts"]).endswith(b'Z"')


async def test_client_is_told_that_the_server_stops(mismo: Running) -> None:
    async with mismo.socket("*") as socket:
        message, _ = await asyncio.gather(socket.raw.receive(), mismo.app.hub.close())
    assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, 1001)
    assert mismo.app.hub.connections == 0
