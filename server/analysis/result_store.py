"""The SQL of what analyses found, by audio hash."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import orjson

from server.analysis.finding import Finding
from server.analysis.stage import Stage, Status
from server.analysis.waveform import Waveform
from server.db.database import Connection, Row

Beats: TypeAlias = "tuple[array[float], array[float]]"
Found = dict[Stage, tuple[Status, Mapping[str, Any], int]]


async def put(connection: Connection, audio_hash: str, finding: Finding, now: int) -> bool:
    """Store what a stage found, in place of what was there; False when it was there already, just so."""
    changed = await connection.execute(
        """
        INSERT INTO analysis_results (audio_hash, stage, status, data, digest, analyzed_at)
        VALUES (:hash, :stage, :status, :data, :digest, :now)
        ON CONFLICT (audio_hash, stage) DO UPDATE SET
            status = excluded.status, data = excluded.data, digest = excluded.digest, analyzed_at = excluded.analyzed_at
        WHERE analysis_results.digest <> excluded.digest
        """,
        {
            "hash": audio_hash,
            "stage": finding.stage.value,
            "status": finding.status.value,
            "data": orjson.dumps(finding.data).decode(),
            "digest": finding.digest,
            "now": now,
        },
    )
    if changed and finding.stage is Stage.BASIC_FEATURES:
        await _put_beats(connection, audio_hash, finding)
        await _put_waveforms(connection, audio_hash, finding.waveforms)
    return bool(changed)


async def _put_beats(connection: Connection, audio_hash: str, finding: Finding) -> None:
    await connection.execute(
        """
        INSERT INTO analysis_beats (audio_hash, beats, downbeats) VALUES (:hash, :beats, :downbeats)
        ON CONFLICT (audio_hash) DO UPDATE SET beats = excluded.beats, downbeats = excluded.downbeats
        """,
        {
            "hash": audio_hash,
            "beats": _packed(finding.beats),
            "downbeats": _packed(finding.downbeats),
        },
    )


async def _put_waveforms(connection: Connection, audio_hash: str, waveforms: Sequence[Waveform]) -> None:
    await connection.execute("DELETE FROM analysis_waveforms WHERE audio_hash = :hash", {"hash": audio_hash})
    await connection.execute_many(
        """
        INSERT INTO analysis_waveforms (audio_hash, zoom_level, num_pixels, samples_per_pixel, etag, planes)
        VALUES (:hash, :zoom, :pixels, :samples, :etag, :planes)
        """,
        [
            {
                "hash": audio_hash,
                "zoom": item.zoom_level,
                "pixels": item.num_pixels,
                "samples": item.samples_per_pixel,
                "etag": item.etag,
                "planes": item.planes,
            }
            for item in waveforms
        ],
    )


async def found(connection: Connection, hashes: Sequence[str]) -> dict[str, Found]:
    """What is stored of several audios; those with nothing are left out."""
    rows = await connection.fetch_all(
        "SELECT audio_hash, stage, status, data, analyzed_at FROM analysis_results WHERE audio_hash IN :hashes",
        {"hashes": hashes},
    )
    by_hash: dict[str, Found] = {}
    for row in rows:
        by_hash.setdefault(row["audio_hash"], {})[Stage(row["stage"])] = (
            Status(row["status"]),
            orjson.loads(row["data"]),
            row["analyzed_at"],
        )
    return by_hash


async def stages(connection: Connection, hashes: Sequence[str]) -> dict[str, dict[Stage, Status]]:
    """The stages that are stored of several audios, and how they ended."""
    rows = await connection.fetch_all(
        "SELECT audio_hash, stage, status FROM analysis_results WHERE audio_hash IN :hashes",
        {"hashes": hashes},
    )
    by_hash: dict[str, dict[Stage, Status]] = {}
    for row in rows:
        by_hash.setdefault(row["audio_hash"], {})[Stage(row["stage"])] = Status(row["status"])
    return by_hash


async def with_stage(connection: Connection, stage: Stage, after: str, limit: int) -> list[str]:
    """Audio hashes that have a stage, in their order, after one of them."""
    return await connection.fetch_values(
        "SELECT audio_hash FROM analysis_results WHERE stage = :stage AND audio_hash > :after"
        " ORDER BY audio_hash LIMIT :limit",
        {"stage": stage.value, "after": after, "limit": limit},
    )


BEATS = "SELECT beats, downbeats FROM analysis_beats WHERE audio_hash = :hash"


async def beats(connection: Connection, audio_hash: str) -> Beats | None:
    """Beats and downbeats in seconds; None when the audio isn't analysed."""
    return unpacked_beats(await connection.fetch_all(BEATS, {"hash": audio_hash}))


def unpacked_beats(rows: Sequence[Row]) -> Beats | None:
    return (_unpacked(rows[0][0]), _unpacked(rows[0][1])) if rows else None


async def waveforms(connection: Connection, audio_hash: str, zoom: int | None) -> list[Waveform]:
    """All zoom levels, or the one that is asked for."""
    where = "" if zoom is None else " AND zoom_level = :zoom"
    rows = await connection.fetch_all(
        f"""
        SELECT zoom_level, num_pixels, samples_per_pixel, planes FROM analysis_waveforms
        WHERE audio_hash = :hash{where} ORDER BY zoom_level
        """,
        {"hash": audio_hash, **({} if zoom is None else {"zoom": zoom})},
    )
    return [Waveform(row[0], row[1], row[2], bytes(row[3])) for row in rows]


def _packed(values: array[float]) -> bytes:
    return _little_endian(values).tobytes()


def _unpacked(content: bytes) -> array[float]:
    values = array("d")
    values.frombytes(bytes(content))
    return _little_endian(values)


def _little_endian(values: array[float]) -> array[float]:
    if sys.byteorder == "little":
        return values
    swapped = array("d", values)
    swapped.byteswap()
    return swapped
