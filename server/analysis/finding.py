"""What a stage found, as values that were checked; and what of it a track shows.

Units as on the wire: times and offsets in seconds, tempo in BPM, energy and loudness in dB, valence and arousal from 1
to 9, all shares from 0 to 1.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from server import errors
from server.analysis import waveform, wire
from server.analysis.stage import Stage, Status
from server.analysis.waveform import Waveform

_MOST_BEATS = 200_000
_LARGEST_DATA = 1_000_000
_LISTED = {"beats", "downbeats", "waveforms"}


@dataclass(frozen=True, slots=True)
class Finding:
    """`data` is JSON-ready and holds everything but the beats (s) and the waveforms."""

    stage: Stage
    status: Status
    data: Mapping[str, Any]
    beats: array[float] = field(default_factory=lambda: array("d"))
    downbeats: array[float] = field(default_factory=lambda: array("d"))
    waveforms: tuple[Waveform, ...] = ()

    @property
    def digest(self) -> str:
        """The same for the same content, so that a repeated result is told from a new one."""
        parts = [
            orjson.dumps(self.data, option=orjson.OPT_SORT_KEYS),
            self.beats.tobytes(),
            self.downbeats.tobytes(),
            *(item.etag.encode() for item in self.waveforms),
        ]
        return hashlib.sha256(self.status.encode() + b"\0".join(parts)).hexdigest()[:32]


def read(stage: Stage, data: Mapping[str, Any]) -> Finding:
    """The result of any stage but `stems`. Raises `Invalid`."""
    if data.get("status") == Status.UNSUPPORTED:
        return Finding(stage, Status.UNSUPPORTED, {})
    if stage is Stage.BASIC_FEATURES:
        return _basic_features(data)
    if stage is Stage.CHARACTERISTICS:
        return Finding(stage, Status.DONE, _kept(data, _characteristics(data)))
    return Finding(stage, Status.DONE, _kept(data, {}))


def of_stems(names: Iterable[str]) -> Finding:
    """That these parts were separated; the parts themselves aren't kept for long."""
    return Finding(Stage.STEMS, Status.DONE, {"stems": sorted(names)})


def _basic_features(data: Mapping[str, Any]) -> Finding:
    values = {
        "key": wire.whole(data, "key", 0, 11),
        "key_name": wire.text(data, "key_name", 32),
        "mode": wire.whole(data, "mode", 0, 1),
        "mode_name": wire.text(data, "mode_name", 32),
        "key_strength": wire.number(data, "key_strength", -1, 1),
        # 0 is how some servers say that there is none.
        "tempo": wire.number(data, "tempo", 0, 1000) or None,
        "beat_consistency": wire.number(data, "beat_consistency", 0, 1),
        "num_beats": wire.whole(data, "num_beats", 0, _MOST_BEATS),
        "num_downbeats": wire.whole(data, "num_downbeats", 0, _MOST_BEATS),
        "firstBeatOffset": wire.number(data, "firstBeatOffset", 0, wire.DAY_SECONDS),
        "firstPhraseBeatNo": wire.whole(data, "firstPhraseBeatNo", 0, _MOST_BEATS),
        "audibleStartTime": wire.number(data, "audibleStartTime", 0, wire.DAY_SECONDS),
        "audibleEndTime": wire.number(data, "audibleEndTime", 0, wire.DAY_SECONDS),
    }
    tempo = values["tempo"]
    if isinstance(tempo, float) and tempo < 10:
        raise errors.Invalid.field("tempo", f"must be between 10 and 1000, not {tempo:g}")
    waveforms = tuple(
        waveform.read(wire.mapping(item, f"waveforms[{place}]"))
        for place, item in enumerate(wire.items(data, "waveforms", waveform.ZOOM_LEVELS))
    )
    if len({item.zoom_level for item in waveforms}) != len(waveforms):
        raise errors.Invalid.field("waveforms", "has a zoom level twice")
    return Finding(
        Stage.BASIC_FEATURES,
        Status.DONE,
        _kept(data, values),
        wire.times(data, "beats", _MOST_BEATS),
        wire.times(data, "downbeats", _MOST_BEATS),
        waveforms,
    )


def _characteristics(data: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "danceability": wire.share(data, "danceability"),
        "valence": wire.number(data, "valence", 1, 9),
        "arousal": wire.number(data, "arousal", 1, 9),
        "energy": wire.number(data, "energy", -200, 100),
        "loudness": wire.number(data, "loudness", -200, 100),
        "acousticness": wire.share(data, "acousticness"),
        "instrumentalness": wire.share(data, "instrumentalness"),
    }


def _kept(data: Mapping[str, Any], checked: Mapping[str, Any]) -> dict[str, Any]:
    """What a server sends beyond the contract is kept as it is, as long as it is small."""
    kept = {name: value for name, value in data.items() if name not in _LISTED and name not in checked}
    wire.demand_shallow(kept, "data")
    if len(orjson.dumps(kept)) > _LARGEST_DATA:
        raise errors.Invalid.field("data", f"is larger than {_LARGEST_DATA} bytes")
    return {**kept, **checked}


def track_values(
    found: Mapping[Stage, tuple[Status, Mapping[str, Any], int]],
) -> dict[str, Any]:
    """The analysis columns of a track from the stored results: stage → (status, data, when).

    With nothing stored, all of them are empty.
    """
    done = {stage: data for stage, (status, data, _) in found.items() if status is Status.DONE}
    basic = done.get(Stage.BASIC_FEATURES, {})
    character = done.get(Stage.CHARACTERISTICS, {})
    key, mode = basic.get("key"), basic.get("mode")
    return {
        "analysis_bpm": basic.get("tempo"),
        "analysis_key": None if key is None or mode is None else key * 2 + mode,
        "first_beat_offset": basic.get("firstBeatOffset"),
        "first_phrase_beat_no": basic.get("firstPhraseBeatNo"),
        "audible_start_time": basic.get("audibleStartTime"),
        "audible_end_time": basic.get("audibleEndTime"),
        "energy": character.get("energy"),
        "loudness": character.get("loudness"),
        "danceability": character.get("danceability"),
        "valence": character.get("valence"),
        "arousal": character.get("arousal"),
        "acousticness": character.get("acousticness"),
        "instrumentalness": character.get("instrumentalness"),
        "is_analyzed": int(Stage.BASIC_FEATURES in done),
        "date_analyzed": max(
            (when for status, _, when in found.values() if status is Status.DONE),
            default=None,
        ),
        "analysis_stages": orjson.dumps([str(stage) for stage in Stage if stage in done]).decode(),
    }
