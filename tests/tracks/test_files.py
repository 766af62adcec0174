"""A track's file: where it is, and the picture in it."""

from __future__ import annotations

import base64
import os
import zlib
from pathlib import Path

import mutagen.id3
import pytest

from server import ids
from server.tracks import picture
from tests.support import sound
from tests.support.application import Running

_JPEG = b"\xff\xd8\xff\xe0" + b"jpeg" * 50
_PNG = b"\x89PNG\r\n\x1a\n" + b"png" * 50


def _add_picture(file: Path, data: bytes, mime: str, kind: int) -> None:
    tags = mutagen.id3.ID3(file)
    tags.add(mutagen.id3.APIC(encoding=3, mime=mime, type=kind, desc=str(kind), data=data))
    tags.save(file)


async def _scanned(mismo: Running, music: Path) -> str:
    directory = await mismo.added(music)
    await mismo.scanned(directory["id"])
    ((track_id,),) = [[track["id"] for track in (await mismo.client.get("/api/tracks"))["data"]]]
    return f"/api/tracks/{track_id}"


async def test_front_cover_is_given_with_an_etag(mismo: Running, music: Path) -> None:
    file = sound.mp3(music / "one.mp3", 1, TIT2="One")
    _add_picture(file, _PNG, "image/png", 4)
    _add_picture(file, _JPEG, "text/html", 3)
    path = await _scanned(mismo, music)
    answer = await mismo.client.request("GET", f"{path}/artwork")
    # The type is that of the bytes, whatever the tag claims.
    assert (answer.status, answer.content, answer.headers["content-type"]) == (200, _JPEG, "image/jpeg")
    again = await mismo.client.request("GET", f"{path}/artwork", headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status, again.content) == (304, b"")
    _add_picture(file, _PNG, "image/png", 3)
    tags = mutagen.id3.ID3(file)
    tags.delall("APIC:3")
    tags.save(file)
    changed = await mismo.client.request("GET", f"{path}/artwork", headers={"If-None-Match": answer.headers["etag"]})
    assert (changed.status, changed.content) == (200, _PNG)


@pytest.mark.parametrize("data", [None, b"<script>alert(1)</script>"])
async def test_track_without_a_picture_has_no_artwork(mismo: Running, music: Path, data: bytes | None) -> None:
    file = sound.mp3(music / "one.mp3", 1, TIT2="One")
    if data is not None:
        _add_picture(file, data, "image/png", 3)
    path = await _scanned(mismo, music)
    assert (await mismo.client.get(f"{path}/artwork", status=404))["code"] == "artwork_not_found"
    assert (await mismo.client.get(f"{path}/artwork", size=64, status=422))["errors"][0]["field"] == "size"


async def test_file_that_breaks_its_parser_has_no_artwork(mismo: Running, music: Path) -> None:
    file = sound.mp3(music / "one.mp3", 1, TIT2="One")
    path = await _scanned(mismo, music)
    # A frame that says it is compressed and unpacks to more than a reader may use.
    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(bytes(1 << 24)) for _ in range(64)) + packer.flush()
    frame = b"APIC" + _syncsafe(len(packed) + 4) + b"\0\x09" + _syncsafe(1 << 27) + packed
    file.write_bytes(b"ID3\x04\0\0" + _syncsafe(len(frame)) + frame + file.read_bytes())
    assert (await mismo.client.get(f"{path}/artwork", status=404))["code"] == "artwork_not_found"


def _syncsafe(number: int) -> bytes:
    return bytes(number >> shift & 0x7F for shift in (21, 14, 7, 0))


async def test_missing_file_is_said_to_be_unreachable(mismo: Running, music: Path) -> None:
    file = sound.mp3(music / "one.mp3", 1, TIT2="One")
    path = await _scanned(mismo, music)
    file.unlink()
    assert (await mismo.client.get(f"{path}/artwork", status=404))["code"] == "file_unreachable"
    facts = (await mismo.client.get(f"{path}/file"))["data"]
    assert (facts["exists"], facts["size"], facts["modified"]) == (False, None, None)


async def test_local_engine_learns_the_path_byte_for_byte(mismo: Running, music: Path) -> None:
    name = os.fsencode(music) + b"/caf\xe9.mp3"
    source = sound.mp3(music / "one.mp3", 1, TIT2="One")
    os.rename(source, name)
    path = await _scanned(mismo, music)
    facts = (await mismo.client.get(f"{path}/file"))["data"]
    assert base64.b64decode(facts["path_bytes"]) == name
    assert facts["path"].endswith("caf\ufffd.mp3")
    assert (facts["exists"], facts["size"], facts["format"], facts["codec"]) == (
        True,
        os.stat(name).st_size,
        "mp3",
        "mp3",
    )


async def test_unknown_track_has_no_file(mismo: Running) -> None:
    for below in ("file", "artwork"):
        answer = await mismo.client.get(f"/api/tracks/{ids.new_id()}/{below}", status=404)
        assert answer["code"] == "not_found"


def test_first_picture_serves_where_no_front_cover_is() -> None:
    assert picture.best(iter([(0, b""), (4, b"back"), (5, b"leaflet")])) == b"back"
    assert picture.best(iter([(4, b"back"), (3, b"front")])) == b"front"
    assert picture.best(iter([])) == b""
