"""Files that FFmpeg makes and copies: encoders and multiplexers nobody here wrote."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from server.hashing.recording import hash_file

FFMPEG = shutil.which("ffmpeg")

pytestmark = pytest.mark.skipif(FFMPEG is None, reason="ffmpeg isn't installed")

TONE = ["-f", "lavfi", "-i", "aevalsrc=0.3*sin(440*2*PI*t)+0.1*random(0)|0.2*sin(660*2*PI*t):s=44100:d=2"]
FILM = ["-f", "lavfi", "-i", "testsrc=s=64x64:r=10:d=2"]

ENCODERS = {
    "mp3": "libmp3lame",
    "mp2": "mp2",
    "aac": "aac",
    "ac3": "ac3",
    "flac": "flac",
    "ogg": "libvorbis",
    "opus": "libopus",
    "spx": "libspeex",
    "oga": "flac",
    "m4a": "aac",
    "mov": "pcm_s16le",
    "wav": "pcm_s16le",
    "w64": "pcm_s16le",
    "aiff": "pcm_s16be",
    "caf": "alac",
    "au": "pcm_s16be",
    "wma": "wmav2",
    "wv": "wavpack",
    "tta": "tta",
    "mka": "libopus",
    "webm": "libvorbis",
}


def ffmpeg(*arguments: str | Path) -> None:
    assert FFMPEG is not None
    command = [FFMPEG, "-v", "error", "-y", *map(str, arguments)]
    result = subprocess.run(command, check=False, capture_output=True, text=True)
    if "Unknown encoder" in result.stderr:
        pytest.skip(f"not for this ffmpeg: it lacks {result.stderr.split(chr(39))[1]}")
    assert result.returncode == 0, result.stderr


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("ffmpeg")


def encoded(folder: Path, extension: str) -> Path:
    path = folder / f"base.{extension}"
    if not path.exists():
        ffmpeg(*TONE, "-c:a", ENCODERS[extension], path)
    return path


def hash_of(path: Path) -> str:
    found = hash_file(path).audio_hash
    assert found is not None
    return found


@pytest.mark.parametrize("extension", ENCODERS)
def test_copy_with_other_tags_has_the_same_hash(extension: str, folder: Path) -> None:
    base, copy = encoded(folder, extension), folder / f"copy.{extension}"
    ffmpeg("-i", base, "-c", "copy", "-metadata", "title=Another", "-metadata", "artist=Somebody else", copy)
    assert hash_of(copy) == hash_of(base)


@pytest.mark.parametrize("extension", ENCODERS)
def test_shorter_copy_has_another_hash(extension: str, folder: Path) -> None:
    base, copy = encoded(folder, extension), folder / f"short.{extension}"
    ffmpeg("-i", base, "-t", "0.9", "-c", "copy", copy)
    assert hash_of(copy) != hash_of(base)


@pytest.mark.parametrize(
    "extension", [e for e in ENCODERS if e not in ("m4a", "mov", "caf", "spx", "oga", "mka", "webm")]
)
def test_streamed_copy_has_the_same_hash(extension: str, folder: Path) -> None:
    base, copy = encoded(folder, extension), folder / f"streamed.{extension}"
    form = {"m4a": "mp4", "mka": "matroska", "wma": "asf", "aac": "adts"}.get(extension, extension)
    assert FFMPEG is not None
    command = [FFMPEG, "-v", "error", "-i", str(base), "-c", "copy", "-f", form, "-"]
    copy.write_bytes(subprocess.run(command, check=True, capture_output=True).stdout)
    assert hash_of(copy) == hash_of(base)


@pytest.mark.parametrize(
    "flags",
    [
        "faststart",
        "frag_keyframe+empty_moov",
        "frag_keyframe+empty_moov+default_base_moof",
        "frag_keyframe+omit_tfhd_offset",
        "dash+frag_keyframe",
    ],
)
def test_layout_of_mp4_doesn_t_matter(flags: str, folder: Path) -> None:
    base, copy = encoded(folder, "m4a"), folder / "layout.m4a"
    ffmpeg("-i", base, "-c", "copy", "-movflags", flags, copy)
    assert hash_of(copy) == hash_of(base)


@pytest.mark.parametrize(
    "extension, target, video",
    [
        ("m4a", "mp4", ["mpeg4"]),
        ("m4a", "mp4", ["mpeg4", "-movflags", "frag_keyframe+empty_moov", "-g", "5"]),
        ("opus", "webm", ["libvpx"]),
        ("ogg", "ogg", ["libtheora"]),
        ("wma", "wma", ["wmv2"]),
    ],
    ids=["mp4", "fragmented mp4", "webm", "ogg", "asf"],
)
def test_film_around_the_audio_doesn_t_matter(extension: str, target: str, video: list[str], folder: Path) -> None:
    base, film = encoded(folder, extension), folder / f"film.{target}"
    ffmpeg("-i", base, *FILM, "-map", "1:v", "-map", "0:a", "-c:a", "copy", "-c:v", *video, film)
    assert hash_of(film) == hash_of(base)


def test_chapters_between_the_samples_don_t_matter(folder: Path) -> None:
    base, copy, chapters = encoded(folder, "m4a"), folder / "chapters.m4a", folder / "chapters.txt"
    parts = [f"[CHAPTER]\nTIMEBASE=1/10\nSTART={at}\nEND={at + 5}\ntitle=Part {at}\n" for at in range(0, 20, 5)]
    chapters.write_text(";FFMETADATA1\n" + "".join(parts))
    ffmpeg("-i", base, "-i", chapters, "-map_chapters", "1", "-c", "copy", copy)
    assert hash_of(copy) == hash_of(base)


def test_table_of_contents_of_mp3_may_come_and_go(folder: Path) -> None:
    base, bare, again = encoded(folder, "mp3"), folder / "bare.mp3", folder / "again.mp3"
    ffmpeg("-i", base, "-c", "copy", "-write_xing", "0", "-id3v2_version", "0", bare)
    ffmpeg("-i", bare, "-c", "copy", "-id3v2_version", "3", "-write_id3v1", "1", again)
    assert b"Info" not in bare.read_bytes()[:200]
    assert hash_of(bare) == hash_of(base) == hash_of(again)


@pytest.mark.parametrize(
    "extension, other", [("opus", "mka"), ("flac", "oga"), ("flac", "mka"), ("m4a", "mka"), ("mp3", "mka")]
)
def test_another_container_for_the_same_packets_has_the_same_hash(extension: str, other: str, folder: Path) -> None:
    base, copy = encoded(folder, extension), folder / f"{extension}.{other}"
    ffmpeg("-i", base, "-c", "copy", copy)
    assert hash_of(copy) == hash_of(base)
