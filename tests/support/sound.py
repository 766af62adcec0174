"""Small audio files that are really what they claim: WAV and FLAC-free, made without any encoder; tags by mutagen."""

from __future__ import annotations

import random
import struct
import wave
from pathlib import Path

import mutagen.id3
import mutagen.mp3

_HEADER = bytes.fromhex("fffb9000")  # MPEG-1 layer III, 128 kbit/s, 44.1 kHz, stereo: 417 bytes a frame
_FRAME = 417


def mp3(path: Path, seed: object = 0, frames: int = 40, **tags: str) -> Path:
    """An MP3 of `frames` frames (26 ms each) whose audio depends on `seed` alone. Tags by ID3 frame: `TIT2="…"`."""
    noise = random.Random(str(seed))
    path.parent.mkdir(parents=True, exist_ok=True)
    # The byte values stay clear of 0xff, so that nothing in a frame looks like the start of another one.
    path.write_bytes(b"".join(_HEADER + bytes(noise.randrange(0xF0) for _ in range(_FRAME - 4)) for _ in range(frames)))
    if tags:
        retag(path, **tags)
    return path


def retag(path: Path, **tags: str) -> None:
    """Write ID3 frames into an MP3, in place, as a tagger does."""
    try:
        id3 = mutagen.id3.ID3(path)
    except mutagen.id3.ID3NoHeaderError:
        id3 = mutagen.id3.ID3()
    for name, value in tags.items():
        id3.add(getattr(mutagen.id3, name)(encoding=3, text=[value]))
    id3.save(path)


def wav(path: Path, seed: object = 0, seconds: float = 0.2) -> Path:
    """Mono noise at 8 kHz, 16 bit."""
    noise = random.Random(str(seed))
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        count = int(seconds * 8000)
        file.writeframes(struct.pack(f"<{count}h", *(noise.randrange(-9000, 9000) for _ in range(count))))
    return path
