"""Files that would hurt whoever reads them: one entry in the report each, and every other file comes in."""

# ruff: noqa: ASYNC240 # a test may block its own loop

from __future__ import annotations

import os
import signal
import struct
import zlib
from pathlib import Path
from typing import Any

import pytest

from server.scanning import workers
from server.scanning.reader import Outcome
from server.scanning.request import Request
from server.scanning.worker import MEMORY_BYTES
from server.scanning.workers import WorkerPool
from tests.support import sound
from tests.support.application import Running


def failures(scan: dict[str, Any]) -> dict[str, str]:
    return {failure["path"]: failure["code"] for failure in scan["failures"]}


def hurting(pool: WorkerPool, path: bytes, number: signal.Signals) -> None:
    """Every process that is about to read one file gets a signal, as if the file had done it."""
    attempt = pool._attempt

    async def attempt_and_hurt(request: Request) -> tuple[list[Outcome], str | None]:
        if any(task.path == path for task in request.tasks):
            worker = await pool._take()
            pool._idle.put_nowait(worker)  # the last one in is the first one out
            os.kill(worker.process_id, number)
        return await attempt(request)

    pool._attempt = attempt_and_hurt  # type: ignore[method-assign] # no parser of ours crashes by itself


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGSEGV, "parser_crashed"), (signal.SIGSTOP, "parser_hung")], ids=["crash", "hang"]
)
async def test_file_that_ends_its_reader_is_named_and_the_others_come_in(
    mismo: Running, music: Path, number: signal.Signals, code: str
) -> None:
    for name in range(20):
        sound.mp3(music / f"{name:02}.mp3", name, frames=2)
    if number is signal.SIGSTOP:
        mismo.app.workers._patience = 5.0  # shorter than a user's patience, but long for twenty small files
    hurting(mismo.app.workers, b"07.mp3", number)
    scan = await mismo.scanned((await mismo.added(music))["id"])
    assert (scan["state"], scan["counts"]["added"], scan["counts"]["failed"]) == ("complete", 20, 1)
    assert failures(scan) == {"07.mp3": code}
    (bad,) = [track for track in (await mismo.client.get("/api/tracks"))["data"] if track["tags_error"]]
    assert (bad["file_name"], bad["metadata_source"], bad["audio_hash"]) == ("07.mp3", "filename", None)


async def test_process_that_dies_while_idle_blames_no_file(mismo: Running, music: Path) -> None:
    sound.mp3(music / "a.mp3", 1)
    directory = await mismo.added(music)
    await mismo.scanned(directory["id"])
    for process_id in mismo.app.workers.process_ids:
        os.kill(process_id, signal.SIGKILL)
        while Path(f"/proc/{process_id}").exists():
            await mismo.client.get("/api/scan/active")
    sound.mp3(music / "b.mp3", 2)
    scan = await mismo.scanned(directory["id"])
    assert (scan["counts"]["added"], scan["failures"]) == (1, [])


def synchsafe(size: int) -> bytes:
    return bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0))


def tagged(path: Path, version: int, frames: bytes) -> None:
    audio = sound.mp3(path, path.name).read_bytes()
    path.write_bytes(b"ID3" + bytes([version, 0, 0]) + synchsafe(len(frames)) + frames + audio)


def zlib_bomb(path: Path) -> None:
    """One compressed frame of a megabyte that grows to a gigabyte."""
    packer = zlib.compressobj(9)
    body = b"".join(packer.compress(bytes(1 << 20)) for _ in range(1024)) + packer.flush()
    tagged(path, 3, b"TIT2" + struct.pack(">IH", len(body) + 4, 0x0080) + struct.pack(">I", 1 << 30) + body)


def many_frames(path: Path) -> None:
    """400,000 frames of a few bytes."""
    tagged(path, 3, (b"TXXX" + struct.pack(">IH", 4, 0) + b"\0a\0b") * 400_000)


def deep_mp4(path: Path) -> None:
    """Boxes in boxes, twenty thousand deep."""
    depth = 20_000
    boxes = b"".join(struct.pack(">I4s", 8 * (depth - level), b"moov") for level in range(depth))
    path.write_bytes(struct.pack(">I4s4sI", 16, b"ftyp", b"M4A ", 0) + boxes)


def big_picture(path: Path) -> None:
    """A picture of 40 MiB: large, but nothing is wrong with it."""
    picture = b"\0image/jpeg\0\3\0" + bytes(40 << 20)
    tagged(path, 4, b"APIC" + synchsafe(len(picture)) + b"\0\0" + picture)


async def test_tag_bombs_end_in_the_report_and_every_good_file_in_the_library(mismo: Running, music: Path) -> None:
    zlib_bomb(music / "zlib.mp3")
    many_frames(music / "frames.mp3")
    deep_mp4(music / "deep.m4a")
    big_picture(music / "picture.mp3")
    for name in range(10):
        sound.mp3(music / f"good {name}.mp3", name)
    scan = await mismo.scanned((await mismo.added(music))["id"])
    assert (scan["state"], scan["counts"]["added"]) == ("complete", 14)
    assert set(failures(scan)) == {"zlib.mp3", "frames.mp3", "deep.m4a"}
    for process_id in mismo.app.workers.process_ids:
        peak = Path(f"/proc/{process_id}/status").read_text().partition("VmHWM:")[2].split()[0]
        assert int(peak) * 1024 <= MEMORY_BYTES
    hashes = [track["audio_hash"] for track in (await mismo.client.get("/api/tracks"))["data"]]
    assert sum(audio_hash is not None for audio_hash in hashes) >= 13


async def test_real_odd_files_through_rest(mismo: Running, corpus: Path, tmp_path: Path) -> None:
    for name in ("hostile", "tagged"):
        directory = await mismo.added(corpus / name, watch=False)
        scan = await mismo.scanned(directory["id"])
        assert scan["state"] == "complete"
        counts = scan["counts"]
        assert counts["found"] == counts["added"]
        named = {failure["path"] for failure in scan["failures"]}
        listed = (await mismo.client.get("/api/tracks", library_id=directory["id"], limit=1000))["data"]
        assert {track["relative_path"] for track in listed if track["tags_error"]} <= named
        again = await mismo.scanned(directory["id"])
        assert (again["counts"]["unchanged"], again["counts"]["updated"]) == (counts["found"], 0)


def test_limits_are_those_of_the_contract() -> None:
    assert MEMORY_BYTES <= 512 << 20
    assert workers.END_SECONDS < 10
