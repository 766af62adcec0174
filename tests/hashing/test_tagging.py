"""What mutagen does to files leaves their hash alone."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mutagen
import pytest
from mutagen import aiff, apev2, asf, dsdiff, dsf, flac, id3, mp4, wave

from server.hashing.recording import hash_file

from .build import every
from .build.sample import Sample, noise

(PICTURE,) = noise(42, 150_000)


def id3_tags() -> id3.ID3:
    tags = id3.ID3()
    tags.add(id3.TIT2(encoding=3, text="Échange"))
    tags.add(id3.TPE1(encoding=1, text=["One", "Two"]))
    tags.add(id3.COMM(encoding=3, lang="eng", desc="", text="x" * 3000))
    tags.add(id3.APIC(encoding=0, mime="image/png", type=3, desc="", data=PICTURE))
    tags.add(id3.GEOB(encoding=0, mime="application/octet-stream", filename="", desc="Serato Markers2", data=b"\1\1"))
    return tags


def with_id3(path: Path) -> None:
    id3_tags().save(path, v1=2)


def with_old_id3(path: Path) -> None:
    tags = id3_tags()
    tags.update_to_v23()
    tags.save(path, v1=0, v2_version=3, padding=lambda info: 7)


def with_ape(path: Path) -> None:
    tags = apev2.APEv2()
    tags["Title"] = "Échange"
    tags["Cover Art (Front)"] = apev2.APEValue(b"cover.png\0" + PICTURE, apev2.BINARY)
    tags.save(path)


def with_comments(path: Path) -> None:
    file: Any = mutagen.File(path)
    file["title"] = ["Échange"]
    file["metadata_block_picture"] = [base64.b64encode(PICTURE).decode()]
    file.save()


def with_flac_blocks(path: Path) -> None:
    file: Any = flac.FLAC(path)
    file.add_tags()
    file["title"] = ["Échange"]
    picture = flac.Picture()
    picture.data, picture.mime = PICTURE, "image/png"
    file.add_picture(picture)
    file.save(padding=lambda info: 12_345)


def with_atoms(path: Path) -> None:
    file: Any = mp4.MP4(path)
    file.add_tags()
    file.tags["\xa9nam"] = ["Échange"]
    file.tags["covr"] = [mp4.MP4Cover(PICTURE)]
    file.save(padding=lambda info: 999)


def with_chunk(path: Path) -> None:
    kinds: dict[str, Any] = {"wav": wave.WAVE, "aiff": aiff.AIFF, "dsf": dsf.DSF, "dff": dsdiff.DSDIFF}
    file = kinds[path.suffix[1:]](path)
    file.add_tags()
    for frame in id3_tags().values():
        file.tags.add(frame)
    file.save()


def with_objects(path: Path) -> None:
    file = asf.ASF(path)
    file["Title"] = "Échange"
    file["WM/Picture"] = PICTURE
    file["Long"] = "x" * 60_000
    file.save()


TAGGERS: list[tuple[str, Callable[[Path], None]]] = [
    *[(kind, way) for kind in ("mpeg", "adts", "ac3", "tta", "ape", "flac") for way in (with_id3, with_old_id3)],
    *[
        (kind, with_ape)
        for kind in ("mpeg", "adts", "ape", "old ape", "tta", "tak", "wavpack", "optimfrog", "musepack 5")
    ],
    ("musepack 7", with_ape),
    ("musepack 8", with_ape),
    *[(kind, with_comments) for kind in ("vorbis", "opus", "speex", "ogg flac")],
    ("flac", with_flac_blocks),
    ("m4a", with_atoms),
    ("fragmented m4a", with_atoms),
    *[(kind, with_chunk) for kind in ("wav", "aiff", "dsf", "dff")],
    ("wma", with_objects),
]


@pytest.fixture(params=TAGGERS, ids=lambda pair: f"{pair[0]} {pair[1].__name__}")
def tagging(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Sample, Path, Callable[[Path], None]]:
    kind, way = request.param
    sample = every.KINDS[kind](1)
    path = tmp_path / sample.name
    path.write_bytes(sample.data)
    return sample, path, way


def test_tagging_and_untagging_leaves_the_hash_alone(tagging: tuple[Sample, Path, Callable[[Path], None]]) -> None:
    sample, path, way = tagging
    way(path)
    assert path.read_bytes() != sample.data
    assert hash_file(path).audio_hash == sample.audio_hash
    if way is with_ape:
        apev2.delete(path)
    elif way in (with_id3, with_old_id3):
        id3.delete(path)
    else:
        file: Any = mutagen.File(path)
        file.delete()
    assert hash_file(path).audio_hash == sample.audio_hash


@pytest.mark.parametrize("kind", ["mpeg", "adts", "tta", "ape"])
def test_every_kind_of_tag_at_once_leaves_the_hash_alone(kind: str, tmp_path: Path) -> None:
    sample = every.KINDS[kind](1)
    path = tmp_path / sample.name
    path.write_bytes(sample.data)
    with_ape(path)
    with_id3(path)
    assert hash_file(path).audio_hash == sample.audio_hash
