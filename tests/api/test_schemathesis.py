"""Schemathesis over the whole OpenAPI document: what is documented is what is answered, and nothing is a 5xx."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE, STDOUT
from pathlib import Path

from tests.support import sound
from tests.support.application import Running

CONFIG = Path(__file__).with_name("schemathesis.toml")
# Left out: positive_data_acceptance. That a path exists, that two parameters exclude each other, or which type a
# setting has, is more than a JSON Schema says.
CHECKS = (
    "not_a_server_error", "status_code_conformance", "content_type_conformance", "response_headers_conformance",
    "response_schema_conformance", "negative_data_rejection", "missing_required_header", "unsupported_method",
    "allow_header_conformance",
)  # fmt: skip


async def test_every_operation_answers_as_documented(mismo: Running, music: Path, tmp_path: Path) -> None:
    for number in range(3):
        sound.mp3(music / f"{number}.mp3", number, TIT2=f"Title {number}", TPE1="Artist")
    await mismo.scanned((await mismo.added(music))["id"])
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).with_name("schemathesis")), "--no-color", "--config-file", str(CONFIG),
        "run", f"{mismo.url}/api/openapi.json", "--checks", ",".join(CHECKS),
        "--phases", "examples,coverage,fuzzing", "--max-examples", "5", "--seed", "1", "--workers", "2",
        "--continue-on-failure", "--suppress-health-check", "all", cwd=tmp_path, stdout=PIPE, stderr=STDOUT,
    )  # fmt: skip
    try:
        report, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, report.decode()
