"""Real files: pairs that are the same recording or not, tagged files, and files that hurt other parsers."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from server.hashing.container import Container, identify
from server.hashing.errors import HashingError
from server.hashing.recording import audio_hash, hash_file

CORPUS = Path(__file__).parents[3] / "shared" / "corpus"

pytestmark = pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus of real files isn't here (../shared/corpus)")


def entries(name: str) -> list[dict[str, Any]]:
    path = CORPUS / name
    return json.loads(path.read_text()) if path.is_file() else []


def found(path: Path) -> str | None:
    """The hash, or None where there is none for whatever reason."""
    try:
        return hash_file(path).audio_hash
    except HashingError:
        return None


PAIRS = entries("same_audio.json")


@pytest.mark.parametrize("pair", PAIRS, ids=[f"{p['kind']}-{p['format']}-{p['how']}-{p['b'][11:23]}" for p in PAIRS])
def test_pair_is_judged_right(pair: dict[str, Any]) -> None:
    first, second = found(CORPUS / pair["a"]), found(CORPUS / pair["b"])
    assert first is not None
    if pair["kind"] == "same_audio":
        assert first == second
    else:
        assert first != second
    if "cut at" not in pair["how"]:
        assert second is not None


@pytest.mark.parametrize("folder", ["hostile", "tagged", "same_audio"])
def test_no_file_raises_anything_else_or_takes_memory(folder: str) -> None:
    for path in sorted((CORPUS / folder).iterdir()):
        tracemalloc.start()
        try:
            with path.open("rb") as file:
                container = identify(file, path.name)
                for believed in [container] if container else Container:
                    try:
                        result = audio_hash(file, believed)
                    except HashingError as error:
                        assert error.code and error.reason, path
                    else:
                        assert result is None or len(result) == 32, path
            assert tracemalloc.get_traced_memory()[1] < 4_000_000, path
        finally:
            tracemalloc.stop()


EXTENSIONS = {
    "mp3 mp2 mp1": Container.MPEG,
    "flac": Container.FLAC,
    "ogg oga opus spx ogv oggtheora": Container.OGG,
    "m4a mp4 m4v": Container.MP4,
    "wav": Container.WAV,
    "aif aiff aifc afc": Container.AIFF,
    "wma asf": Container.ASF,
    "ape": Container.APE,
    "wv": Container.WAVPACK,
    "tta": Container.TTA,
    "mpc": Container.MUSEPACK,
    "dsf": Container.DSF,
    "dff": Container.DFF,
    "mka mkv webm": Container.MATROSKA,
    "ac3 eac3": Container.AC3,
    "tak": Container.TAK,
    "ofr ofs": Container.OPTIMFROG,
    "shn mid": None,
}


def test_tagged_files_are_identified() -> None:
    kinds = {extension: kind for extensions, kind in EXTENSIONS.items() for extension in extensions.split()}
    for path in sorted((CORPUS / "tagged").iterdir()):
        extension = path.suffix[1:].lower()
        if extension in kinds:
            with path.open("rb") as file:
                assert identify(file, path.name) is kinds[extension], path
                if extension not in ("mpc", "mp3"):
                    assert identify(file, "renamed") is kinds[extension], path
