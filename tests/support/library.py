"""A scanned library of a few tracks, and what lies on the disk, told by the audio."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from server.hashing.recording import hash_file
from tests.support import sound
from tests.support.application import Running


@dataclass(frozen=True, slots=True)
class Library:
    """A scanned directory; `ids` by relative path."""

    directory_id: str
    path: Path
    ids: dict[str, str]


async def library(mismo: Running, path: Path, *names: str) -> Library:
    """Make MP3s of these relative paths, each with audio of its own, and scan them."""
    for name in names:
        sound.mp3(path / name, name)
    directory = await mismo.added(path)
    await mismo.scanned(directory["id"])
    listed = (await mismo.client.get("/api/tracks", limit=1000, library_id=directory["id"]))["data"]
    return Library(directory["id"], path, {track["relative_path"]: track["id"] for track in listed})


def audio_on_disk(*folders: Path) -> Counter[str | None]:
    """How often each audio hash lies on the disk, wherever, whatever the name: nothing may be lost or doubled."""
    return Counter(hash_file(file).audio_hash for folder in folders for file in _files(folder) if _is_audio(file))


def tree(folder: Path) -> dict[str, tuple[bytes, int, int] | None]:
    """Every path with its content, time of change and mode; None for a folder."""
    found: dict[str, tuple[bytes, int, int] | None] = {}
    for parent, folders, files in os.walk(folder):
        for name in folders:
            found[str((Path(parent) / name).relative_to(folder))] = None
        for name in files:
            path = Path(parent) / name
            status = path.stat()
            found[str(path.relative_to(folder))] = (path.read_bytes(), status.st_mtime_ns, status.st_mode)
    return found


def temporaries(*folders: Path) -> list[Path]:
    """What Mismo forgot to remove."""
    return [file for folder in folders for file in _files(folder) if file.name.endswith(".part")]


def _files(folder: Path) -> list[Path]:
    return [Path(parent) / name for parent, _, names in os.walk(folder) for name in names]


def _is_audio(file: Path) -> bool:
    return file.suffix in {".mp3", ".part"} or ".mp3" in file.name


async def done(mismo: Running, answer: Any, state: str = "done") -> dict[str, Any]:
    """Wait for the operation that an answer tells of; it must end in a state."""
    (operation,) = await mismo.app.operations.finished([answer["data"]["id"]])
    assert operation.state == state, (operation.error_code, operation.error)
    return operation.as_json()
