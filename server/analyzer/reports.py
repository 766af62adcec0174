"""What each stage of an analysis reports."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from server.analyzer import characteristics, listening, segments, stems, waveforms
from server.analyzer.stages import Payload, Stage

UNSUPPORTED: Payload = {"status": "unsupported"}
"""What genre and transitions report: telling genres needs a trained model, and so does telling good transitions."""


@dataclass(frozen=True)
class Recording:
    """A file to analyse. It is listened to once, however many stages are asked for."""

    path: Path
    stem_folder: Path
    stem_format: str = "flac"

    @cached_property
    def heard(self) -> listening.Heard:
        return listening.listen(self.path)

    def report(self, stage: Stage) -> Payload:
        """Raises decode.Undecodable."""
        begun = time.monotonic()
        reports: dict[Stage, Callable[[], Payload]] = {
            Stage.BASIC_FEATURES: self._basic_features,
            Stage.CHARACTERISTICS: self._characteristics,
            Stage.SEGMENTS: self._segments,
            Stage.STEMS: self._stems,
        }
        if stage not in reports:
            return UNSUPPORTED
        return reports[stage]() | {"processing_time": round(time.monotonic() - begun, 3)}

    def _basic_features(self) -> Payload:
        heard = self.heard
        drawn = waveforms.draw(heard.envelope, heard.samples, heard.rate)
        return {**_key(heard), **_beats(heard), **_audible(heard), "waveforms": [w.payload() for w in drawn]}

    def _characteristics(self) -> Payload:
        return characteristics.describe(self.heard).payload()

    def _segments(self) -> Payload:
        found = segments.find(self.heard)
        return {"segments": [segment.payload() for segment in found], "method": segments.METHOD}

    def _stems(self) -> Payload:
        self.stem_folder.mkdir(parents=True, exist_ok=True)
        paths = stems.separate(self.path, self.stem_folder, self.stem_format)
        return {
            "delivery_mode": "path",
            "format": self.stem_format,
            "stems": {name: str(path) for name, path in paths.items()},
            "method": stems.METHOD,
        }


def _key(heard: listening.Heard) -> Payload:
    """Without anything tonal the key is null and its strength 0."""
    found = heard.key
    return {
        "key": found.tonic if found else None,
        "key_name": found.name if found else None,
        "mode": found.mode if found else None,
        "mode_name": found.mode_name if found else None,
        "key_strength": round(found.strength, 4) if found else 0.0,
        "tuning_cents": round(heard.notes.tuning * 100, 1),
    }


def _beats(heard: listening.Heard) -> Payload:
    """Without anything that repeats the tempo is null and there are no beats."""
    found = heard.beats
    if found is None:
        return {
            "tempo": None,
            "beats": [],
            "downbeats": [],
            "beat_consistency": 0.0,
            "num_beats": 0,
            "num_downbeats": 0,
        }
    beats = [round(time, 4) for time in found.times.tolist()]
    downbeats = [round(time, 4) for time in found.downbeats.tolist()]
    return {
        "tempo": round(found.tempo, 3),
        "beats": beats,
        "downbeats": downbeats,
        "beat_consistency": round(found.consistency, 4),
        "num_beats": len(beats),
        "num_downbeats": len(downbeats),
        "firstBeatOffset": beats[0],
        "firstPhraseBeatNo": found.first_phrase + 1,
    }


def _audible(heard: listening.Heard) -> Payload:
    if heard.audible is None:
        return {}
    return {"audibleStartTime": round(heard.audible[0], 3), "audibleEndTime": round(heard.audible[1], 3)}
