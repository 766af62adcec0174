"""Stems as an analysis server delivers them: paths on this machine, URLs of its own, or base64, into the cache."""

from __future__ import annotations

import base64
import io
import os
import shutil
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from server import errors
from server.analysis import wire
from server.analysis.client import AnalysisClient
from server.analysis.stems import CONTENT_TYPES, NAMES, StemCache
from server.filesystem import FileSystem

_LONGEST_PATH = 4096
_PIECE = 1 << 18  # of base64: a multiple of four
# How the formats begin: what starts otherwise isn't given out, whatever path was named.
_BEGINNINGS = (
    b"RIFF",
    b"RF64",
    b"fLaC",
    b"OggS",
    b"ID3",
    b"\xff\xfb",
    b"\xff\xfa",
    b"\xff\xf3",
    b"\xff\xf2",
)
_MP4_MARK = slice(4, 8)


class Delivery:
    def __init__(self, cache: StemCache, client: AnalysisClient, files: FileSystem):
        self._cache = cache
        self._client = client
        self._files = files

    async def take(
        self, audio_hash: str, data: Mapping[str, Any], file_of: Callable[[str], Path | None]
    ) -> Path:  # fmt: skip
        """Gather the stems in a new folder beside the cache; `file_of` tells which file holds a text that was too long.

        Raises `Invalid` for what can't be stems; `client.Away` and `client.Refused` when they can't be fetched.
        """
        extension = (wire.text(data, "format", 16) or "wav").lower().removeprefix(".")
        if extension not in CONTENT_TYPES:
            raise errors.Invalid.field("format", f"must be one of {', '.join(CONTENT_TYPES)}")
        sources = wire.mapping(data.get("stems"), "stems")
        if not sources or not set(sources) <= set(NAMES):
            raise errors.Invalid.field("stems", f"must name some of {', '.join(NAMES)} and nothing else")
        # Its own: the same callback may come again while the first one is being taken in.
        folder = await self._cache.arriving(audio_hash)
        try:
            left = self._cache.max_bytes
            for name, source in sources.items():
                if not isinstance(source, str) or not source:
                    raise errors.Invalid.field(f"stems.{name}", "must be a path, a URL or base64")
                target = folder / f"{name}.{extension}"
                if source.startswith(("http://", "https://")):
                    await self._fetch(source, target, left)
                elif data.get("delivery_mode") == "path":
                    await self._files.call(_copy, source, target, left, f"stems.{name}")
                else:
                    held = file_of(source)
                    await self._files.call(_decode, held or source, target, f"stems.{name}")
                await self._files.call(_check, target, f"stems.{name}")
                left -= (await self._files.call(target.stat)).st_size
        except BaseException:
            await self._cache.forget(folder)
            raise
        return folder

    async def _fetch(self, url: str, target: Path, limit: int) -> None:
        file = await self._files.call(open, target, "xb")
        try:
            async for chunk in self._client.fetch(url, limit):
                await self._files.call(file.write, chunk)
        finally:
            await self._files.call(file.close)


def _copy(source: str, target: Path, limit: int, name: str) -> None:
    if len(source) > _LONGEST_PATH or "\0" in source or not os.path.isabs(source):
        raise errors.Invalid.field(name, "must be an absolute path")
    try:
        descriptor = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise errors.Invalid.field(name, f"can't be read: {error.strerror}") from None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise errors.Invalid.field(name, "isn't a regular file")
        if status.st_size > limit:
            raise errors.Invalid.field(name, "is larger than the cache for stems")
        with open(descriptor, "rb", closefd=False) as file, target.open("xb") as copy:
            shutil.copyfileobj(file, copy, 1 << 20)
    finally:
        os.close(descriptor)


def _decode(source: str | Path, target: Path, name: str) -> None:
    with target.open("xb") as file, _opened(source) as text:
        # Piece by piece: one call over all of it would keep other threads from running for as long as it takes.
        while piece := text.read(_PIECE):
            try:
                file.write(base64.b64decode(piece, validate=True))
            except ValueError:
                raise errors.Invalid.field(name, "isn't base64") from None


def _opened(source: str | Path) -> BinaryIO:
    return source.open("rb") if isinstance(source, Path) else io.BytesIO(source.encode())


def _check(target: Path, name: str) -> None:
    with target.open("rb") as file:
        head = file.read(12)
    if not head.startswith(_BEGINNINGS) and head[_MP4_MARK] != b"ftyp":
        raise errors.Invalid.field(name, "isn't an audio file of a known format")
