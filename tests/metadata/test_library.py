"""A generated library: every field of every tag that was written is read back."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from server.metadata.model import Metadata
from server.metadata.read import read_file

GENERATOR = Path(__file__).resolve().parents[3] / "shared" / "tools" / "make_library.py"
TRACKS = 300
# Whether the audio is of many kinds or of few says nothing about tags, and encoding it takes a minute.
FEW_CLIPS = "import make_library; make_library.NCLIP = 2; make_library.main()"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not GENERATOR.is_file(), reason="the library generator isn't beside the project"),
    pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="the library generator needs ffmpeg"),
]

ID3_FORMATS = {"mp3", "wav", "aiff"}
OPUS_PRE_SKIP = 0.0066  # s; the generator forgets that Opus doesn't play it


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # The clips take long to encode and are the same each time, so they outlive the test run.
    clips = tmp_path_factory.getbasetemp().parent / "library-clips"
    root = tmp_path_factory.mktemp("generated") / "library"
    subprocess.run(
        [sys.executable, "-B", "-c", FEW_CLIPS, root, "--tracks", str(TRACKS), "--mean-size", "30K", "--cache", clips],
        check=True,
        capture_output=True,
        cwd=GENERATOR.parent,
    )
    return root


def manifest(library: Path) -> Iterator[dict[str, Any]]:
    with library.with_name(library.name + ".manifest.jsonl").open() as lines:
        yield from map(json.loads, lines)


def written(entry: dict[str, Any]) -> dict[str, Any]:
    """What a reading of an intact, tagged file must say, by the manifest."""
    tags, kind = entry["tags"], entry["format"]
    get = tags.get
    expected = {
        "title": tags["title"].strip(),
        "artist": tags["artist"],
        "album": tags["album"],
        "album_artist": get("albumartist"),
        "date": get("date"),
        "year": int(tags["date"][:4]) if get("date") else None,
        "track_number": get("track"),
        "disc_number": get("disc"),
        "bpm": float(tags["bpm"]) if get("bpm") else None,
        "initial_key": get("key"),
        "isrc": get("isrc"),
        "label": get("label"),
        "composer": get("composer"),
        "comment": get("comment"),
        "energy_level": get("energy"),
        "tags_error": None,
        "metadata_source": "tags",
    }
    if get("genre") or not get("id3v1"):  # its ID3v1 tags name a genre of their own
        expected["genre"] = get("genre")
    if get("track") or kind not in ID3_FORMATS | {"m4a"}:  # which have no place for a total by itself
        expected["track_total"] = get("tracks")
    if get("art"):  # the manifest drops the picture numbered 0
        expected["has_artwork"] = True
    if kind in ID3_FORMATS:
        expected["rating"] = get("rating")
    if kind == "m4a":
        expected["bpm"] = float(int(expected["bpm"])) if expected["bpm"] else None
    else:
        expected["remixer"] = get("remixer")
    return expected


def differences(metadata: Metadata, entry: dict[str, Any]) -> list[tuple[str, Any, Any]]:
    wrong = [
        (field, expected, getattr(metadata, field))
        for field, expected in written(entry).items()
        if getattr(metadata, field) != expected
    ]
    allowed = OPUS_PRE_SKIP if entry["format"] == "opus" else 0.001
    if metadata.duration_seconds is None or abs(metadata.duration_seconds - entry["seconds"]) > allowed:
        wrong.append(("duration_seconds", entry["seconds"], metadata.duration_seconds))
    return wrong


def test_every_written_field_is_read_back(library: Path) -> None:
    checked: Counter[str] = Counter()
    for entry in manifest(library):
        if entry["corrupt"] is None and entry["tags"] is not None:
            assert differences(read_file(library / entry["path"]), entry) == [], entry["path"]
            checked[entry["format"]] += 1
    assert checked.total() > TRACKS * 0.8
    assert {"mp3", "flac", "m4a"} <= set(checked)


def test_damaged_and_untagged_files_have_a_title(library: Path) -> None:
    for entry in manifest(library):
        metadata = read_file(library / entry["path"])
        assert metadata.title
        if entry["corrupt"] in ("zero", "garbage", "html"):
            assert metadata.tags_error is not None
            assert metadata.metadata_source == "filename"
