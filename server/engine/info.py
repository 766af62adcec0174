"""`getTrackInfo`: everything the engine needs to play a track, and the promise to send it when it isn't there yet."""

from __future__ import annotations

import base64
import os
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from server import errors, ids, log
from server.analysis.service import AnalysisService, NotHashed
from server.db.database import Database, Params, Row
from server.engine.messages import Refusal, answer, refusal
from server.filesystem import FileSystem, Unresponsive
from server.tracks import playable
from server.tracks.model import key_from_index

logger = log.get(__name__)
_MODES = ("minor", "major")


class Refused(Exception):
    """The track can't be played now, for one of the reasons that the engine knows."""

    def __init__(self, reason: Refusal):
        super().__init__(reason.value)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Found:
    """A track that can be played: its row, its absolute path and cues, and once it is analysed its beats, in s."""

    row: Row
    path: bytes
    cues: Sequence[Mapping[str, Any]]
    beats: tuple[array[float], array[float]] | None


@dataclass(frozen=True, slots=True)
class _Seen:
    """What came of a look at a file: why it can't be played, if so."""

    refusal: Refusal | None


class TrackInfo:
    def __init__(self, database: Database, analyses: AnalysisService, file_system: FileSystem, key_format: str):
        """`key_format` as AUDIO_SERVER_KEY_FORMAT: `name` for "Am", `number` for the tonic with C = 0."""
        self._database = database
        self._analyses = analyses
        self._files = file_system
        self._key_format = key_format

    async def find(self, track_id: Any) -> Found:
        """Look a track up, and its file on disk; raises `Refused`."""
        if not isinstance(track_id, str) or not ids.is_id(track_id):
            raise Refused(Refusal.INVALID)
        (tracks, cues, beats), seen = await self._found(track_id)
        if not tracks:
            raise Refused(Refusal.NOT_FOUND)
        row = tracks[0]
        where = _where(row)
        if where is None:
            raise Refused(Refusal.MISSING)
        if seen is None:
            seen = await self._look(*where)
        if seen.refusal is not None:
            raise Refused(seen.refusal)
        return Found(row, where[1], playable.merged_cues(cues), self._analyses.beats_in(beats))

    async def _found(self, track_id: str) -> tuple[list[Sequence[Row]], _Seen | None]:
        """The rows, and the look at the file if that could be had in the same hop between threads."""
        is_looking = False

        def look(found: Sequence[Sequence[Row]]) -> _Seen | None:
            nonlocal is_looking
            where = _where(found[0][0]) if found[0] else None
            if where is None:
                return None
            is_looking = True
            try:
                self._files.call_here(where[0], _check_readable, where[1])
            except Unresponsive:
                return None
            except OSError as error:
                return _Seen(_refusal(error))
            return _Seen(None)

        queries = [lambda _: playable.track(track_id), lambda _: playable.cues(track_id), self._beats_of_first]
        try:
            return await self._database.fetch_and_look(queries, look, self._files.timeout)
        except TimeoutError:
            if is_looking:
                raise Refused(Refusal.MISSING) from None
            raise errors.DatabaseBusy from None

    async def _look(self, root: bytes, path: bytes) -> _Seen:
        try:
            await self._files.call_at(root, _check_readable, path)
        except OSError as error:
            return _Seen(_refusal(error))
        return _Seen(None)

    def _beats_of_first(self, found: Sequence[Sequence[Row]]) -> tuple[str, Params] | None:
        audio_hash = found[0][0]["audio_hash"] if found[0] else None
        return self._analyses.beats_query(audio_hash) if audio_hash else None

    def content(self, found: Found) -> dict[str, Any]:
        """The reply's members for a track that is analysed."""
        assert found.beats is not None
        beats, downbeats = found.beats
        row = found.row
        key = None if row["key_index"] is None else key_from_index(row["key_index"])
        return {
            "trackId": row["id"],
            **_named(found.path),
            "bpm": row["bpm"],
            "key": None if key is None else key.name if self._key_format == "name" else str(key.tonic),
            "mode": None if key is None else _MODES[key.mode],
            "camelot": None if key is None else key.camelot,
            "beats_data": beats.tolist(),
            "downbeats_data": downbeats.tolist(),
            "firstBeatOffset": row["first_beat_offset"],
            "firstPhraseBeatNo": row["first_phrase_beat_no"],
            "durationSeconds": row["duration_seconds"],
            "hotCues": [cue_json(cue) for cue in found.cues],
        }

    async def have_analysed(self, track_id: str) -> None:
        """Put a track's basic features before all that waits in the background."""
        try:
            await self._analyses.ensure(track_id)
        except NotHashed:
            # A fast scan found it, or the file is broken. Once its audio is known, it is queued as every new track.
            logger.info("a track can't be analysed before its audio is hashed", track=track_id)

    async def first_beat_offset(self, track_id: str) -> float | None:
        """Seconds into the file; None when it isn't known."""
        (tracks,) = await self._database.fetch_at_once([lambda _: playable.track(track_id)])
        return tracks[0]["first_beat_offset"] if tracks else None

    async def answer(self, track_id: Any, request_id: Any) -> tuple[dict[str, Any], bool]:
        """The reply to a request, and whether a full one is owed once the track is analysed."""
        try:
            found = await self.find(track_id)
        except Refused as error:
            return refusal(error.reason, request_id, track_id), False
        if found.beats is None:
            await self.have_analysed(track_id)
            return refusal(Refusal.NOT_ANALYSED, request_id, track_id), True
        return answer(request_id, self.content(found)), False


def cue_json(cue: Mapping[str, Any]) -> dict[str, Any]:
    """A cue in the engine's spelling."""
    return {
        "index": cue["index"],
        "position": cue["position"],
        "isLoop": cue["is_loop"],
        "loopEnd": cue["loop_end"],
        "name": cue["name"],
        "color": cue["color"],
    }


def _named(path: bytes) -> dict[str, str]:
    """A path in JSON. One that isn't UTF-8 can't be; then `filePathBytes` holds it whole, in Base64."""
    try:
        return {"filePath": path.decode()}
    except UnicodeDecodeError:
        return {
            "filePath": path.decode(errors="replace"),
            "filePathBytes": base64.b64encode(path).decode(),
        }


def _where(row: Row) -> tuple[bytes, bytes] | None:
    """The root of a track's library directory and its path, absolute; None when the file is known to be away."""
    root = row["root"]
    if row["missing_since"] is not None or root is None or row["unreachable_reason"] is not None:
        return None
    return bytes(root), os.path.join(bytes(root), bytes(row["path"]))


def _refusal(error: OSError) -> Refusal:
    return Refusal.DENIED if isinstance(error, PermissionError) else Refusal.MISSING


def _check_readable(path: bytes) -> None:
    """Open and close (blocking): the only answer that is true for permissions, mounts and links alike."""
    os.close(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK))
