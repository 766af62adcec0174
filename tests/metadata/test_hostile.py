"""Files made to crash, hang or bloat a parser: each is read within a worker's limits, and what was wrong is said."""

from __future__ import annotations

import json
import resource
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from . import audio, corpus

MEMORY = 512 << 20  # bytes of address space, as a scan worker has
CPU = 20  # seconds for all files of one test

READ_ALL = """
import json, sys
from pathlib import Path
from server.metadata.read import read_file
for line in sys.stdin:
    metadata = read_file(Path(json.loads(line)))
    print(json.dumps([metadata.title, metadata.duration_seconds, metadata.tags_error]), flush=True)
"""


def limit() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU, CPU))


def read_within_limits(paths: list[Path]) -> list[tuple[str, float | None, str | None]]:
    """Read the files one after the other in one process like a scan worker's."""
    finished = subprocess.run(
        [sys.executable, "-c", READ_ALL],
        input="".join(json.dumps(str(path)) + "\n" for path in paths),
        capture_output=True,
        text=True,
        preexec_fn=limit,
        check=False,
        cwd=Path(__file__).resolve().parents[2],
    )
    assert finished.returncode == 0, finished.stderr
    return [tuple(json.loads(line)) for line in finished.stdout.splitlines()]


@corpus.needs_corpus
def test_every_hostile_file_is_read_by_one_worker() -> None:
    paths = [corpus.ROOT / entry["file"] for entry in corpus.entries("hostile")]
    results = read_within_limits(paths)
    assert len(results) == len(paths)
    assert all(title for title, _, _ in results)


def id3_tag(version: int, body: bytes) -> bytes:
    size = len(body)
    synchsafe = bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3" + bytes([version, 0, 0]) + synchsafe + body


@cache
def compressed_bomb() -> bytes:
    """An ID3v2.3 text frame of a megabyte that grows to a gigabyte."""
    bomb = zlib.compress(b"\3" + bytes(1 << 30), 9)
    return b"TIT2" + struct.pack(">IH", len(bomb) + 4, 0x0080) + struct.pack(">I", 1 << 30) + bomb


def read_one(tmp_path: Path, name: str, content: bytes) -> tuple[str, float | None, str | None]:
    path = tmp_path / name
    path.write_bytes(content)
    (result,) = read_within_limits([path])
    return result


def test_a_compressed_frame_that_grows_without_end_is_refused(tmp_path: Path) -> None:
    content = id3_tag(3, compressed_bomb()) + audio.mp3(50)
    title, duration, error = read_one(tmp_path, "Artist - Bomb.mp3", content)
    assert title == "Bomb"
    assert duration == pytest.approx(50 * 1152 / 44_100)
    assert error is not None
    assert error.startswith("too_complex: ")


@pytest.mark.parametrize(
    "wrapped",
    [
        lambda frame: id3_tag(3, frame),  # and no audio, so that another parser would be tried
        lambda frame: audio.wav(audio.riff_chunk(b"id3 ", id3_tag(3, frame)))[:-16_008].replace(b"fmt ", b"xxxx"),
        lambda frame: id3_tag(3, b"CHAP" + struct.pack(">IH", len(frame) + 18, 0) + b"c\0" + bytes(16) + frame),
        lambda frame: b"ID3\3\0\xc0" + id3_tag(3, b"\0\0\0\6" + bytes(6) + frame.replace(b"\xff", b"\xff\0"))[6:],
    ],
    ids=["no audio", "in a damaged WAV", "in a chapter", "unsynchronised behind an extended header"],
)
def test_a_bomb_reaches_no_parser_by_another_way(tmp_path: Path, wrapped: Callable[[bytes], bytes]) -> None:
    title, _, error = read_one(tmp_path, "Artist - Bomb.mp3", wrapped(compressed_bomb()))
    assert title == "Bomb"
    assert error is not None
    assert not error.startswith("out_of_memory")


def test_a_tag_of_countless_frames_is_refused(tmp_path: Path) -> None:
    body = (b"TXXX" + struct.pack(">IH", 10, 0) + b"\0desc\0text") * 400_000
    title, duration, error = read_one(tmp_path, "Artist - Many.mp3", id3_tag(3, body) + audio.mp3(50))
    assert title == "Many"
    assert duration == pytest.approx(50 * 1152 / 44_100)
    assert error is not None
    assert error.startswith("too_complex: ")


@pytest.mark.parametrize("unsynchronised", [False, True])
def test_a_picture_of_forty_megabytes_fits(tmp_path: Path, *, unsynchronised: bool) -> None:
    picture = b"\0image/png\0\3\0" + b"\x89" * (40 << 20)
    frames = b"TIT2" + struct.pack(">IH", 6, 0) + b"\0title" + b"APIC" + struct.pack(">IH", len(picture), 0) + picture
    tag = bytearray(id3_tag(3, frames))
    tag[5] = 0x80 if unsynchronised else 0
    title, _, error = read_one(tmp_path, "x.mp3", bytes(tag) + audio.mp3(50))
    assert (title, error) == ("title", None)


def test_deeply_nested_boxes_are_not_followed(tmp_path: Path) -> None:
    depth = 20_000
    nested = b"".join(struct.pack(">I4s", 8 * (depth - level), b"moov") for level in range(depth))
    title, _, error = read_one(tmp_path, "Artist - Deep.m4a", audio.box(b"ftyp", b"M4A \0\0\0\0") + nested)
    assert title == "Deep"
    assert error is not None


def test_deeply_nested_chapters_are_not_followed(tmp_path: Path) -> None:
    body = b""
    for _ in range(3000):
        body = b"CHAP" + struct.pack(">IH", len(body) + 18, 0) + b"c\0" + bytes(16) + body
    frames = b"TIT2" + struct.pack(">IH", 6, 0) + b"\0title" + body
    title, _, _ = read_one(tmp_path, "x.mp3", id3_tag(3, frames) + audio.mp3(50))
    assert title == "title"


@pytest.mark.parametrize("kind", ["wav", "aiff", "flac", "m4a", "mka", "ogg", "wv", "dff"])
def test_countless_tiny_parts_end(tmp_path: Path, kind: str) -> None:
    many = 300_000
    content = {
        "wav": b"RIFF\xff\xff\xff\xffWAVE" + (b"LIST\x0c\0\0\0INFOINAM\0\0\0\0" * many),
        "aiff": b"FORM\x7f\xff\xff\xffAIFF" + (b"ANNO\0\0\0\2ab" * many),
        "flac": b"fLaC" + audio.flac_block(1, b"") * many,
        "m4a": audio.box(b"ftyp", b"M4A \0\0\0\0") + audio.box(b"moov", audio.box(b"trak") * many),
        "mka": audio.element(0x1A45DFA3, b"") + audio.element(0x18538067, b"\xec\x80" * many),
        "ogg": b"".join(b"OggS\0\2" + bytes(8) + struct.pack("<III", n, 0, 0) + b"\1\1x" for n in range(many // 10)),
        "wv": (b"wvpk" + struct.pack("<IHBBIIIII", 24, 0x410, 0, 0, 0xFFFFFFFF, 0, 0, 1 << 26, 0)) * many,
        "dff": b"FRM8" + bytes(8) + b"DSD " + (b"DIIN" + bytes(8)) * many,
    }[kind]
    title, _, _ = read_one(tmp_path, f"Artist - Parts.{kind}", content)
    assert title == "Parts"


def test_sizes_that_lie_are_not_allocated(tmp_path: Path) -> None:
    huge = b"\x7f\xff\xff\xff"
    for name, content in {
        "a.mp3": b"ID3\3\0\0\x7f\x7f\x7f\x7fTIT2" + huge + b"\0\0\0x",
        "b.flac": b"fLaC" + audio.flac_block(4, huge * 3, stated_size=0xFFFFFF),
        "c.wav": b"RIFF" + huge + b"WAVELIST" + huge + b"INFO",
        "d.m4a": audio.box(b"ftyp", b"M4A \0\0\0\0") + huge + b"moov",
        "e.mka": audio.element(0x1A45DFA3, b"") + b"\x18\x53\x80\x67\x01\x7f\xff\xff\xff\xff\xff\xff",
    }.items():
        title, _, _ = read_one(tmp_path, name, content)
        assert title == name[0]
