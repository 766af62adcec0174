"""`getTrackInfo`: everything the engine needs to play a track, and the promise to send it when it isn't there yet."""

from __future__ import annotations

import os
from array import array
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from server import errors, ids, log
from server.analysis.service import AnalysisService, NotHashed
from server.db.database import Row
from server.engine.messages import Refusal, answer, refusal
from server.filesystem import FileSystem, Unresponsive
from server.tracks.cues import CueService
from server.tracks.model import key_from_index
from server.tracks.service import TrackService

logger = log.get(__name__)
_MODES = ("minor", "major")


class Refused(Exception):
    """The track can't be played now, for one of the reasons that the engine knows."""

    def __init__(self, reason: Refusal):
        super().__init__(reason.value)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Found:
    """A track that can be played: its row, its absolute path, and once it is analysed its beats and downbeats in s."""

    row: Row
    path: str
    beats: tuple[array[float], array[float]] | None


class TrackInfo:
    def __init__(
        self,
        tracks: TrackService,
        analyses: AnalysisService,
        cues: CueService,
        file_system: FileSystem,
        key_format: str,
    ):
        """`key_format` as AUDIO_SERVER_KEY_FORMAT: `name` for "Am", `number` for the tonic with C = 0."""
        self._tracks = tracks
        self._analyses = analyses
        self._cues = cues
        self._files = file_system
        self._key_format = key_format

    async def find(self, track_id: str) -> Found:
        """Look a track up, and its file on disk; raises `Refused`."""
        if not ids.is_id(track_id):
            raise Refused(Refusal.INVALID)
        try:
            row = await self._tracks.row(track_id)
        except errors.NotFound:
            raise Refused(Refusal.NOT_FOUND) from None
        location = await self._tracks.location_of(row)
        if row["missing_since"] is not None or location is None or location.unreachable_reason is not None:
            raise Refused(Refusal.MISSING)
        path = os.path.join(location.root, bytes(row["path"]))
        try:
            await self._files.call_at(location.root, _check_readable, path)
        except PermissionError:
            raise Refused(Refusal.DENIED) from None
        except (OSError, Unresponsive):
            raise Refused(Refusal.MISSING) from None
        audio_hash = row["audio_hash"]
        beats = await self._analyses.beats_of(audio_hash) if audio_hash else None
        return Found(row, os.fsdecode(path), beats)

    async def content(self, found: Found) -> dict[str, Any]:
        """The reply's members for a track that is analysed."""
        assert found.beats is not None
        beats, downbeats = found.beats
        row = found.row
        key = None if row["key_index"] is None else key_from_index(row["key_index"])
        return {
            "trackId": row["id"],
            "filePath": found.path,
            "bpm": row["bpm"],
            "key": None if key is None else key.name if self._key_format == "name" else str(key.tonic),
            "mode": None if key is None else _MODES[key.mode],
            "camelot": None if key is None else key.camelot,
            "beats_data": beats.tolist(),
            "downbeats_data": downbeats.tolist(),
            "firstBeatOffset": row["first_beat_offset"],
            "firstPhraseBeatNo": row["first_phrase_beat_no"],
            "durationSeconds": row["duration_seconds"],
            "hotCues": [cue_json(cue) for cue in await self._cues.merged(row["id"])],
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
        try:
            row = await self._tracks.row(track_id)
        except errors.NotFound:
            return None
        offset: float | None = row["first_beat_offset"]
        return offset

    async def answer(self, track_id: str, request_id: Any) -> tuple[dict[str, Any], bool]:
        """The reply to a request, and whether a full one is owed once the track is analysed."""
        try:
            found = await self.find(track_id)
        except Refused as error:
            return refusal(error.reason, request_id, track_id), False
        if found.beats is None:
            await self.have_analysed(track_id)
            return refusal(Refusal.NOT_ANALYSED, request_id, track_id), True
        return answer(request_id, await self.content(found)), False


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


def _check_readable(path: bytes) -> None:
    """Open and close (blocking): the only answer that is true for permissions, mounts and links alike."""
    os.close(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK))
