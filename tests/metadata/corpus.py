"""The folder of real odd files beside the project, which isn't part of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3] / "shared" / "corpus"

needs_corpus = pytest.mark.skipif(not ROOT.is_dir(), reason="the corpus of real files isn't beside the project")


def entries(listing: str) -> list[dict[str, Any]]:
    """The entries of a listing, or none where there is no corpus."""
    path = ROOT / f"{listing}.json"
    loaded: list[dict[str, Any]] = json.loads(path.read_text()) if path.is_file() else []
    return loaded


def files() -> list[Path]:
    """Every file in the corpus, in a fixed order."""
    return sorted(path for folder in ("tagged", "hostile", "same_audio") for path in (ROOT / folder).glob("*"))
