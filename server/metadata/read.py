"""Reads what a file says: the one entry to this package."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, cast

from server.hashing.container import Container, identify
from server.hashing.window import Window
from server.metadata.assemble import assemble
from server.metadata.draft import Draft
from server.metadata.errors import EmptyFile, TooComplex, UnknownContainer
from server.metadata.guard import attempt, describe
from server.metadata.model import Metadata
from server.metadata.readers import (
    adts,
    aiff,
    ape,
    asf,
    au,
    by_mutagen,
    caf,
    dsd,
    flac,
    matroska,
    mp4,
    mpeg,
    ogg,
    tta,
    wav,
    wavpack,
)
from server.metadata.source import Source
from server.metadata.tagging import envelope

Reader = Callable[[Source, Draft], None]
"""Fills the draft from the source, and raises when the stream can't be described; tags read by then stay."""

READERS: dict[Container, Reader] = {
    Container.MPEG: mpeg.read,
    Container.FLAC: flac.read,
    Container.OGG: ogg.read,
    Container.MP4: mp4.read,
    Container.WAV: wav.read,
    Container.W64: wav.read_w64,
    Container.AIFF: aiff.read,
    Container.ADTS: adts.read,
    Container.ASF: asf.read,
    Container.MATROSKA: matroska.read,
    Container.CAF: caf.read,
    Container.AU: au.read,
    Container.APE: ape.read,
    Container.WAVPACK: wavpack.read,
    Container.TTA: tta.read,
    Container.DSF: dsd.read_dsf,
    Container.DFF: dsd.read_dff,
}
"""Our own reader of each container. mutagen is tried where there is none and where it fails."""


def read(file: BinaryIO, container: Container | None, name: str, window: Window | None = None) -> Metadata:
    """What an open file says. `name` is its name without folders, as the OS gives it.

    A caller that identifies or hashes the file as well hands over its `window`, so that nothing is read twice.
    Never raises for what is in the file: a file that can't be parsed is described by its name and `tags_error`.
    OSError from seeking the file at all is the caller's.
    """
    source = Source(file, name, window)
    draft = Draft()
    if source.size == 0:
        return assemble(draft, container, name, describe(EmptyFile()))
    if container is None:
        attempt(draft, _read_tags_only, source, draft)
        return assemble(draft, None, name, draft.problem or describe(UnknownContainer()))
    reader = READERS.get(container)
    if reader is not None and attempt(draft, reader, source, draft):
        return assemble(draft, container, name)
    if container in by_mutagen.READABLE and not _is_refused(draft):
        second = Draft()
        if attempt(second, by_mutagen.read, source, second, container):
            second.fill_from(draft)
            return assemble(second, container, name)
        draft.fill_from(second)
        draft.problem = draft.problem or second.problem
    return assemble(draft, container, name)


def read_file(path: Path) -> Metadata:
    """Identify and read the file at a path. Raises OSError when it can't be opened."""
    with path.open("rb", buffering=0) as file:
        stream = cast("BinaryIO", file)  # raw, since reads of regular files are complete
        return read(stream, identify(stream, path.name), path.name)


def _is_refused(draft: Draft) -> bool:
    """Whether there is something in the file that must not reach an unguarded parser."""
    return draft.problem is not None and draft.problem.startswith(f"{TooComplex.code}:")


def _read_tags_only(source: Source, draft: Draft) -> None:
    envelope.read_leading(source, draft)
    envelope.read_trailing(source, draft, 0)
