"""Separated parts, kept for a while in a folder of bounded size: `HASH/NAME.EXTENSION`, the files are all there is."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from server import errors, log
from server.clock import Clock, to_rfc3339
from server.filesystem import FileSystem

logger = log.get(__name__)
NAMES = ("bass", "drums", "other", "vocals")
CONTENT_TYPES = {
    "wav": "audio/wav", "flac": "audio/flac", "ogg": "audio/ogg", "opus": "audio/ogg", "mp3": "audio/mpeg",
    "m4a": "audio/mp4",
}  # fmt: skip
_SWEEP_SECONDS = 60.0
_HASH_LETTERS = frozenset("0123456789abcdef")


class StemsNotReady(errors.NotFound):
    """There are no stems of this track now; ask for them with a POST."""

    code = "stems_not_ready"


@dataclass(frozen=True, slots=True)
class Stems:
    """`files` by name; `expires_at` in Unix milliseconds."""

    files: Mapping[str, Path]
    expires_at: int


class StemCache:
    """A service that forgets: what is older than its time, and before that what wasn't used for longest."""

    name = "stem cache"

    def __init__(
        self,
        folder: Path,
        max_bytes: int,
        ttl_seconds: int,
        files: FileSystem,
        clock: Clock,
    ):
        self.max_bytes = max_bytes
        self.folder = folder
        self._ttl_ms = ttl_seconds * 1000
        self._files = files
        self.clock = clock
        self._changing = asyncio.Lock()

    async def run(self) -> None:
        while True:
            try:
                await self.sweep()
            except OSError as error:
                logger.warning("the stem cache can't be tidied now", error=str(error))
            await asyncio.sleep(_SWEEP_SECONDS)

    async def arriving(self, audio_hash: str) -> Path:
        """A new folder for stems, or for what may be such, on the same disk. `put` shows it, or `forget` it."""
        return await self._files.call(_new_folder, self.folder, f".{_checked(audio_hash)}.")

    async def forget(self, folder: Path) -> None:
        await self._files.call(shutil.rmtree, folder, ignore_errors=True)

    async def put(self, audio_hash: str, gathered: Path) -> Stems:
        """Show a folder of stems, and make room for it. The same ones again change nothing; others take the place."""
        async with self._changing:
            there = await self.get(audio_hash)
            if there is not None and await self._files.call(_has, gathered, there.files):
                await self.forget(gathered)
                return there
            await self._files.call(_replace, gathered, self.folder / _checked(audio_hash))
            await self._tidy()
            found = await self.get(audio_hash)
        if found is None:
            raise errors.DiskFull("the stems are larger than the cache for them")
        return found

    async def get(self, audio_hash: str) -> Stems | None:
        """The stems of an audio, which count as used now."""
        folder = self.folder / _checked(audio_hash)
        files, made = await self._files.call(_look, folder)
        expires_at = made + self._ttl_ms
        if not files or expires_at <= self.clock.now_ms():
            return None
        await self._files.call(_touch, folder)
        return Stems(files, expires_at)

    async def sweep(self) -> None:
        async with self._changing:
            await self._tidy()

    async def _tidy(self) -> None:
        await self._files.call(_sweep, self.folder, self.clock.now_ms() - self._ttl_ms, self.max_bytes)


def urls(track_id: str, stems: Stems) -> dict[str, str]:
    return {name: f"/api/tracks/{track_id}/stems/{name}" for name in stems.files}


def expiry(stems: Stems) -> str:
    text = to_rfc3339(stems.expires_at)
    assert text is not None
    return text


def _checked(audio_hash: str) -> str:
    if not audio_hash or not set(audio_hash) <= _HASH_LETTERS:
        raise ValueError(f"not an audio hash: {audio_hash!r}")
    return audio_hash


# The folder's time of change says when the stems were made, its time of access when they were last used.


def _look(folder: Path) -> tuple[dict[str, Path], int]:
    try:
        made = folder.stat().st_mtime_ns // 1_000_000
        return {file.stem: file for file in sorted(folder.iterdir()) if file.stem in NAMES}, made
    except FileNotFoundError:
        return {}, 0


def _new_folder(parent: Path, prefix: str) -> Path:
    parent.mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(prefix=prefix, dir=parent))


def _touch(folder: Path) -> None:
    try:
        made = folder.stat().st_mtime_ns
        os.utime(folder, ns=(time.time_ns(), made))
    except FileNotFoundError:
        return


def _has(gathered: Path, files: Mapping[str, Path]) -> bool:
    return {file.name for file in gathered.iterdir()} == {file.name for file in files.values()}


def _replace(gathered: Path, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    gathered.rename(folder)


def _sweep(folder: Path, made_before_ms: int, max_bytes: int) -> None:
    if not folder.is_dir():
        return
    kept: list[tuple[int, int, Path]] = []
    for entry in folder.iterdir():
        try:
            status = entry.stat()
        except FileNotFoundError:
            continue  # something came in, and was looked at
        if status.st_mtime_ns // 1_000_000 <= made_before_ms:
            shutil.rmtree(entry, ignore_errors=True)
        elif not entry.name.startswith("."):
            kept.append(
                (
                    status.st_atime_ns,
                    sum(file.stat().st_size for file in entry.iterdir()),
                    entry,
                )
            )
    total = sum(size for _, size, _ in kept)
    for _, size, entry in sorted(kept):
        if total <= max_bytes:
            break
        shutil.rmtree(entry, ignore_errors=True)
        total -= size
