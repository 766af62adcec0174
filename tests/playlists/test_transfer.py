"""Playlist files out and in: what other players write is read, and what isn't found is said, line by line."""

from __future__ import annotations

import asyncio
import os
import posixpath
import shutil
from pathlib import Path
from typing import Any

import m3u8
import pytest

from server.playlists import m3u
from tests.playlists.library import fill
from tests.playlists.test_lists import entries_of, made
from tests.support import sound
from tests.support.application import Running

TRACKS: list[dict[str, Any]] = [
    {"path": "House/Björk - Jóga.mp3", "title": "Jóga", "artist": "Björk", "duration_seconds": 300.4},
    {"path": "House/02 #1 Hit.mp3", "title": "#1 Hit", "artist": "A", "duration_seconds": 200.0},
    {"path": "#first.mp3", "title": "First", "artist": "B", "duration_seconds": 100.0},
    {"path": "Techno/intro.mp3", "title": "Intro", "artist": "C"},
    {"path": "Other/intro.mp3", "title": "Intro", "artist": "D"},
]


async def imported(mismo: Running, content: bytes, kind: str = "audio/x-mpegurl", query: str = "") -> dict[str, Any]:
    headers = {"Content-Type": kind}
    answer = await mismo.client.request("POST", f"/api/playlists/import{query}", content=content, headers=headers)
    assert answer.status == 201, answer.content
    data: dict[str, Any] = answer.json["data"]
    return data


async def exported(mismo: Running, playlist_id: str, **query: str) -> bytes:
    answer = await mismo.client.request("GET", f"/api/playlists/{playlist_id}/export", params=query)
    assert answer.status == 200
    return answer.content


async def test_what_is_exported_comes_back_the_same(mismo: Running) -> None:
    tracks = await fill(mismo.app, TRACKS, root=b"/music")
    playlist = await made(mismo, name="Grüße", track_ids=[*tracks, tracks[0]])
    absolute = await exported(mismo, playlist["id"])
    assert "#EXTINF:300,Björk - Jóga\n/music/House/Björk - Jóga.mp3\n".encode() in absolute
    relative = await exported(mismo, playlist["id"], format="m3u", paths="relative")
    assert b"\n./#first.mp3\n" in relative
    for content, kind in (
        (absolute, "application/vnd.apple.mpegurl"),
        (relative, "audio/x-mpegurl"),
        (await exported(mismo, playlist["id"], format="json"), "application/json"),
    ):
        back = await imported(mismo, content, kind)
        assert (back["matched"], back["total"], back["unmatched"]) == (6, 6, [])
        assert back["playlist"]["name"] == "Grüße"
        found = await entries_of(mismo, back["playlist"]["id"])
        assert [entry["track_id"] for entry in found] == [*tracks, tracks[0]]


@pytest.mark.parametrize(
    "content",
    [
        "\ufeff#EXTM3U\r\n#EXTINF:300,Björk - Jóga\r\nD:\\Musik\\House\\Björk - Jóga.mp3\r\n".encode(),
        "#EXTM3U\rHouse/Björk - Jóga.mp3\r".encode(),
        "#EXTM3U\n#EXTINF:300,Björk - Jóga\nHouse\\Björk - Jóga.mp3\n".encode("latin-1"),
        "\ufeff\\\\nas\\share\\House\\BJÖRK - JÓGA.MP3\r\n".encode("utf-16-le"),
        b"file:///home/dj/House/Bj%C3%B6rk%20-%20J%C3%B3ga.mp3\n",
        "../House/Bjo\u0308rk - Jo\u0301ga.mp3\n".encode(),
        '#EXTINF:299 tvg="1",Björk - Jóga\n/lost/track01.mp3\n'.encode(),
        b"House/Bj%C3%B6rk%20-%20J%C3%B3ga.mp3\n",
        "#EXTINF:300,Don’t – \nHouse\\Björk - Jóga.mp3\n".encode("windows-1252"),
    ],
    ids=["bom-crlf-windows", "cr", "latin-1", "utf-16-share", "url", "decomposed", "by-title", "vlc", "windows-1252"],
)
async def test_files_of_other_players_are_understood(mismo: Running, content: bytes) -> None:
    tracks = await fill(mismo.app, TRACKS)
    back = await imported(mismo, content)
    assert (back["matched"], back["unmatched"]) == (1, [])
    (entry,) = await entries_of(mismo, back["playlist"]["id"])
    assert entry["track_id"] == tracks[0]


async def test_quotes_and_dashes_of_windows_are_read_as_such(mismo: Running) -> None:
    await fill(mismo.app, [{"path": "a/100%.mp3", "title": "Don’t Stop – Ever"}])
    back = await imported(mismo, "#PLAYLIST:Gig – Köln\na/100%.mp3\nlost’s.mp3\n".encode("windows-1252"))
    assert (back["playlist"]["name"], back["encoding"], back["matched"]) == ("Gig – Köln", "windows-1252", 1)
    assert back["unmatched"][0]["text"] == "lost’s.mp3"


async def test_every_line_without_a_track_is_reported(mismo: Running) -> None:
    await fill(mismo.app, TRACKS)
    content = (
        b"#EXTM3U\n\n#EXTINF:1,Nobody - Nothing\nC:\\gone.mp3\n/music/Techno/intro.mp3\nintro.mp3\n"
        b"http://radio.example/stream\n# remark\n../../etc/passwd\n\xff\xfe\x00\n"
    )
    back = await imported(mismo, content, query="?name=Mine")
    assert (back["playlist"]["name"], back["encoding"], back["total"], back["matched"]) == ("Mine", "latin-1", 6, 1)
    assert [(item["line"], item["reason"]) for item in back["unmatched"]] == [
        (4, "isn't in the library"),
        (6, "2 tracks have this path's end"),
        (7, "names no file"),
        (9, "isn't in the library"),
        (10, "isn't in the library"),
    ]
    assert back["unmatched"][0]["artist"] == "Nobody"


async def test_other_bodies_are_refused(mismo: Running) -> None:
    for kind, content, status in (
        ("text/plain", b"a.mp3", 415),
        ("multipart/form-data; boundary=x", b"--x--", 415),
        ("application/json", b"{", 400),
        ("application/json", b"{}", 422),
        ("application/json", b'{"mismo_playlist": 1, "entries": [{"surprise": 1}]}', 422),
    ):
        headers = {"Content-Type": kind}
        answer = await mismo.client.request("POST", "/api/playlists/import", content=content, headers=headers)
        assert answer.status == status, kind


def test_a_line_break_in_a_path_is_left_out_and_counted() -> None:
    content, omitted = m3u.write("x", [m3u.Item(b"/a\nb.mp3", "A", None, None), m3u.Item(b"/c.mp3", "C\nD", None, 1.0)])
    assert omitted == 1
    assert [line.path for line in m3u.read(content).lines] == ["/c.mp3"]


async def test_another_reader_finds_what_was_exported(mismo: Running) -> None:
    tracks = await fill(mismo.app, TRACKS, root=b"/music")
    playlist = await made(mismo, name="Grüße", track_ids=[*tracks, tracks[0]])
    for file_format in ("m3u8", "m3u"):
        for paths, root in (("absolute", "/music"), ("relative", "/lists")):
            content = await exported(mismo, playlist["id"], format=file_format, paths=paths)
            read = m3u8.loads(content.decode())
            assert [posixpath.normpath(posixpath.join(root, item.uri)) for item in read.segments] == [
                f"{root}/{track['path']}" for track in (*TRACKS, TRACKS[0])
            ]
            assert [item.title for item in read.segments][:2] == ["Björk - Jóga", "A - #1 Hit"]
            assert [item.duration for item in read.segments][:2] == [300, 200]


async def test_an_export_says_what_it_is_true_for_and_isnt_sent_twice(mismo: Running) -> None:
    tracks = await fill(mismo.app, TRACKS)
    playlist = await made(mismo, track_ids=tracks)
    path = f"/api/playlists/{playlist['id']}/export"
    for query in ("", "?format=m3u&paths=relative", "?format=json"):
        first = await mismo.client.request("GET", path + query)
        assert int(first.headers["x-mismo-seq"]) == mismo.app.log.seq
        known = {"If-None-Match": first.headers["etag"]}
        again = await mismo.client.request("GET", path + query, headers=known)
        assert (again.status, again.content) == (304, b"")
        await mismo.client.delete(f"/api/playlists/{playlist['id']}/tracks/{tracks.pop()}")
        changed = await mismo.client.request("GET", path + query, headers=known)
        assert (changed.status, changed.headers["etag"] != first.headers["etag"]) == (200, True)
        assert int(changed.headers["x-mismo-seq"]) == int(first.headers["x-mismo-seq"]) + 1


async def test_mpv_reads_as_many_tracks_as_were_exported(mismo: Running, music: Path) -> None:
    if shutil.which("mpv") is None:
        pytest.skip("not for machines without mpv")
    names = ["one.mp3", "#two.mp3", "drei ü.mp3", "four, five - six.mp3"]
    for number, name in enumerate(names):
        sound.mp3(music / name, number)
    directory = await mismo.added(music)
    await mismo.scanned(directory["id"])
    ids = [track["id"] for track in (await mismo.client.get("/api/tracks"))["data"]]
    playlist = await made(mismo, track_ids=[*ids, ids[0]])
    for paths in ("absolute", "relative"):
        file = music / f"{paths}.m3u8"
        file.write_bytes(await exported(mismo, playlist["id"], paths=paths))
        process = await asyncio.create_subprocess_exec(
            "mpv", "--no-config", "--vo=null", "--ao=null", "--untimed", "--length=0.01", "--msg-level=all=no",
            "--term-playing-msg=count ${playlist-count}: ${path}", "--msg-level=cplayer=info", f"--playlist={file}",
            stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        output, _ = await process.communicate()
        assert output.decode().count(f"count {len(ids) + 1}: ") == len(ids) + 1, output.decode()


async def test_names_in_other_bytes_cost_the_other_lines_nothing(mismo: Running, music: Path) -> None:
    for number, name in enumerate(("Джаз.mp3", "plain.mp3", os.fsdecode(b"Bj\xf6rk.mp3"))):
        sound.mp3(music / name, number)
    await mismo.scanned((await mismo.added(music))["id"])
    ids = [track["id"] for track in (await mismo.client.get("/api/tracks"))["data"]]
    playlist = await made(mismo, name="Mixed", track_ids=ids)
    for query in ({}, {"format": "m3u", "paths": "relative"}):
        back = await imported(mismo, await exported(mismo, playlist["id"], **query))
        assert (back["matched"], back["unmatched"], back["encoding"]) == (3, [], "utf-8")
