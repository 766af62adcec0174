"""Paths from outside: thousands of ways out, each refused, and nothing outside ever touched."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import pytest

from server import errors, paths
from tests.support.application import Running
from tests.support.library import library, tree

DOTS = (
    "..", "%2e%2e", "%2E.", ".%2e", "%252e%252e", "%25252e%2e", "%c0%ae%c0%ae", "%e0%80%ae.", "\uff0e\uff0e",
    "\u2024\u2024", "\u2025", ".\u200b.", "%u002e%u002e", "&#46;&#46;", "&#x2e;.", ".. ", ".. .", "...", "..;",
    "\u06d4\u06d4", "\ufe52\ufe52",
)  # fmt: skip
SEPARATORS = (
    "/", "\\", "%2f", "%5c", "%2F", "%252f", "%255c", "%c0%af", "%c1%9c", "%e0%80%af", "\u2215", "\u2044", "\uff0f",
    "\uff3c", "\u29f8", "\u2216", "%u2215", "&#47;", "&sol;",
)  # fmt: skip
TARGETS = ("etc/passwd", "secret.mp3", "", "a/../b.mp3")
DEPTHS = (1, 2, 5)


def ways_out() -> list[str]:
    """Relative ways up, absolute paths, drives, NUL and control characters, in many spellings."""
    found = [
        prefix + (dots + separator) * depth + target
        for dots, separator, depth, target, prefix in itertools.product(
            DOTS, SEPARATORS, DEPTHS, TARGETS, ("", "music/")
        )
    ]
    found += [separator * count + target for separator in SEPARATORS for count in (1, 2, 3) for target in TARGETS]
    drives = ("C:", "c:", "Z:", "\uff23:", "C\uff1a", "C%3a", "C\ua789", "%43:")
    found += [drive + separator + target for drive in drives for separator in SEPARATORS for target in TARGETS]
    spelled = ("\0", "%00", "%2500", "\n", "\r", "\x1b", "\x7f", "%c0%80", "%u0000")
    found += [f"music/one{letter}.mp3" for letter in spelled[:1]]
    found += [f"music{nul}/../one.mp3" for nul in spelled]
    found += [f"one.mp3{nul}" for nul in ("\0", "%00", "%2500", "%c0%80", "\n", "\x7f")]
    found += [
        "..",
        ".",
        "./one.mp3",
        "music/./one.mp3",
        "music//one.mp3",
        "~/one.mp3",
        "~",
        "music/..",
        "file:///etc/passwd",
    ]
    return list(dict.fromkeys(found))


def test_there_are_thousands_of_ways_out() -> None:
    assert len(ways_out()) >= 5000


def test_every_way_out_is_refused_for_paths_and_for_names() -> None:
    for text in ways_out():
        for check in (paths.inside, paths.destination, paths.new_name):
            with pytest.raises(errors.Invalid) as refused:
                check("field", text)
            assert refused.value.status == 422, text
            assert refused.value.fields[0].field == "field", text


@pytest.mark.parametrize(
    "name",
    [
        "D:Ream.mp3",
        "AC\uff0fDC.flac",
        "...And Justice.mp3",
        "What? (100% Mix).mp3",
        "50%.mp3",
        "ノクターン.mp3",
        "a:b.mp3",
        "日本/曲.mp3",
    ],
)
def test_honest_names_pass(name: str) -> None:
    assert paths.destination("field", name) == os.fsencode(name)


@pytest.mark.parametrize("name", ["CON", "nul.mp3", "com1.txt", ".mismo-trash", "a.", " a", "x" * 256, "a\u202eb.mp3"])
def test_reserved_and_deceptive_names_are_refused(name: str) -> None:
    with pytest.raises(paths.Outside):
        paths.new_name("field", name)


def test_safe_name_of_anything_is_accepted_as_a_new_name() -> None:
    for text in [*ways_out(), "CON", ".mismo-trash", "a.", "", "  ", "AC/DC", "a\u202eb"]:
        name = paths.safe_name(text)
        assert "/" not in name
        assert name not in (".", "..")
        assert not name.startswith(".mismo-")


def test_link_that_leads_out_is_refused_and_one_that_stays_inside_is_followed(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    (root / "real").mkdir(parents=True)
    outside.mkdir()
    (root / "out").symlink_to(outside)
    (root / "in").symlink_to(root / "real")
    (root / "real" / "up").symlink_to("../../outside")
    raw = os.fsencode(root)
    for name in (b"out", b"real/up", b"in/up"):
        with pytest.raises(paths.Outside):
            paths.open_folder(raw, name)
    descriptor = paths.open_folder(raw, b"in")
    try:
        assert os.path.samestat(os.fstat(descriptor), (root / "real").stat())
    finally:
        os.close(descriptor)


async def test_link_that_leads_out_fails_a_move_and_nothing_outside_is_touched(mismo: Running, music: Path) -> None:
    lib = await library(mismo, music, "music/one.mp3")
    (music.parent / "secret.mp3").write_bytes(b"not yours")
    (music / "link").symlink_to(music.parent)
    before = tree(music.parent / "music")
    track = f"/api/tracks/{lib.ids['music/one.mp3']}"
    body = {"library_directory_id": lib.directory_id, "destination_path": "link/one.mp3"}
    answer = await mismo.client.post(f"{track}/move", body, status=202)
    (operation,) = await mismo.app.operations.finished([answer["data"]["id"]])
    assert (operation.state, operation.error_code) == ("failed", "path_outside")
    assert tree(music.parent / "music") == before
    assert not (music.parent / "one.mp3").exists()
    assert (music.parent / "secret.mp3").read_bytes() == b"not yours"
