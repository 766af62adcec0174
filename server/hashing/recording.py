"""The hash by which a recording is known: XXH3-128 over its encoded audio and nothing else.

Encoded audio is a sequence of packets, and the hash is that of the packets joined: lengths and borders aren't mixed in.
So the plan of a container may give runs of whole packets, pages or chunks, whichever is quickest, and the same packets
have the same hash in another container, as when FLAC moves to Ogg or MP3 to Matroska. A codec's set-up (stream headers,
codebooks) is left out: it is rewritten together with the tags.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import xxhash

from server.hashing import (
    ac3,
    adif,
    adts,
    aiff,
    ape,
    asf,
    au,
    caf,
    dsd,
    errors,
    flac,
    matroska,
    mp4,
    mpeg,
    musepack,
    ogg,
    optimfrog,
    riff,
    tak,
    tta,
    wavpack,
    wrapping,
)
from server.hashing.container import Container, identify_window
from server.hashing.span import Span
from server.hashing.window import Window

_MAX_SPANS = 1 << 22  # a day of blocks of 20 ms
_SPARE_SPANS = 100_000  # a plan longer than this has few spans of less than eight bytes
_BYTES_PER_SPAN = 8

_PAYLOADS: dict[Container, Callable[[Window, int], Iterator[Span]]] = {
    Container.MPEG: mpeg.spans,
    Container.ADTS: adts.spans,
    Container.ADIF: adif.spans,
    Container.FLAC: flac.spans,
    Container.OGG: ogg.spans,
    Container.MP4: mp4.spans,
    Container.WAV: riff.wave_spans,
    Container.W64: riff.wave64_spans,
    Container.AIFF: aiff.spans,
    Container.CAF: caf.spans,
    Container.AU: au.spans,
    Container.ASF: asf.spans,
    Container.APE: ape.spans,
    Container.WAVPACK: wavpack.spans,
    Container.TTA: tta.spans,
    Container.MUSEPACK: musepack.spans,
    Container.DSF: dsd.dsf_spans,
    Container.DFF: dsd.dff_spans,
    Container.MATROSKA: matroska.spans,
    Container.AC3: ac3.spans,
    Container.TAK: tak.spans,
    Container.OPTIMFROG: optimfrog.spans,
}
"""Where each container keeps its encoded audio, given the offset at which it begins."""


@dataclass(frozen=True)
class Recording:
    """What a file was found to hold."""

    container: Container | None
    """None: nothing that Mismo reads."""

    audio_hash: str | None
    """32 lower-case hexadecimal digits; None when there is no audio to hash."""


def audio_hash(file: BinaryIO, container: Container) -> str | None:
    """Hash the encoded audio of an open file, in constant memory.

    Two files have the same hash exactly when the bytes of their encoded audio, joined, are the same: tags, pictures,
    seek tables, page numbers and the way a container cuts the audio up don't count. None when the container is whole
    and its audio empty. Moves the file's position.

    Raises HashingError when the audio can't be located, OSError when the file can't be read.
    """
    with Window(file) as window:
        window.view(0, 1)
        return hash_window(window, container)


def hash_file(path: Path) -> Recording:
    """Identify a file and hash its audio in one go, which reads a small file just once.

    Raises HashingError and OSError as `audio_hash` does.
    """
    with path.open("rb", buffering=0) as file, Window(file) as window:
        window.view(0, 1)
        container = identify_window(window, path.name)
        return Recording(container, hash_window(window, container) if container else None)


def hash_window(window: Window, container: Container) -> str | None:
    """`audio_hash`, for a file that is looked at already."""
    start = wrapping.leading(window).end
    digest = xxhash.xxh3_128()
    hashed = promised = 0
    most = 2 * window.size  # a plan that counts the same bytes over and over isn't a recording
    most_spans = min(_MAX_SPANS, _SPARE_SPANS + window.size // _BYTES_PER_SPAN)
    for number, (first, length) in enumerate(_PAYLOADS[container](window, start)):
        promised += length
        offset, left = first, length
        while left > 0:
            view = window.piece(offset, left)
            got = len(view)
            if not got:
                break
            digest.update(view)
            hashed += got
            left -= got
            offset += got
        if hashed > most or number > most_spans:
            raise errors.ContainerTooComplex(
                "The audio is in more pieces than any recording, or in the same bytes many times over."
            )
    if promised and not hashed:
        raise errors.AudioTruncated
    return digest.hexdigest() if hashed else None
