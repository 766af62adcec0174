"""Random libraries and random criteria over every field and operator, made to hit each other often."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

from server import ids
from server.playlists.fields import FIELDS, Field, Kind, Op

# Words with all that folding takes away, wildcards of LIKE, quotes, and text that folds to nothing.
WORDS = (
    "House", "house", "HÖUSE", "Deep House", "Techno", "AC/DC", "acdc", "!!!", "%", "a_b", "a%b", "it's", 'a "b"', "🔥",
    "Ünïcode", "坂本", "ß", "back\\slash", "x",
)  # fmt: skip
PATHS = ("House", "HÖUSE", "%", "a_b", "it's", "坂本")
NUMBERS = (0, 1, 2, 5, 11, 60, 64, 120, 121.5, 128, 240, 0.2, 0.5, 0.7)
MOMENTS = tuple(1_700_000_000_000 + day * 86_400_000 for day in (-400, -31, -30, -29, -1, 0, 1))
DATES = ("2022-10-10", "2023-10-14T22:13:20.000Z", "2023-10-15", "2023-11-14", "2023-11-14T22:13:20.000Z")
DIRECTORIES = (ids.new_id(), ids.new_id())
TRACKS = tuple(ids.new_id() for _ in range(12))
PLAYLISTS = (ids.new_id(), ids.new_id())
STAGES = ("basic_features", "stems", "genre")
_TEXTS = ("title", "artist", "album", "album_artist", "label", "composer", "remixer", "comment", "isrc", "grouping",
          "date", "encoder", "bit_rate_mode", "audio_hash", "color_tag", "artwork_type", "tags_error", "codec",
          "container", "duplicate_group_id", "genre")  # fmt: skip
_WHOLE = ("year", "track_number", "track_total", "disc_number", "disc_total", "channels", "sample_rate", "bit_depth",
          "bit_rate", "artwork_size", "first_phrase_beat_no")  # fmt: skip
_FRACTIONS = ("duration_seconds", "energy", "loudness", "danceability", "valence", "arousal", "acousticness",
              "instrumentalness", "first_beat_offset", "audible_start_time", "audible_end_time")  # fmt: skip
_FLAGS = ("compilation", "has_artwork", "has_lyrics", "is_analyzed", "is_favorite")


def columns(rng: Random) -> dict[str, Any]:
    """The columns of one track, each often missing."""

    def maybe(value: Any) -> Any:
        return value if rng.random() < 0.7 else None

    def words() -> list[str]:
        return rng.sample(WORDS, rng.randrange(4))

    return {
        **{name: maybe(rng.choice(WORDS)) for name in _TEXTS},
        **{name: maybe(int(rng.choice(NUMBERS))) for name in _WHOLE},
        **{name: maybe(float(rng.choice(NUMBERS))) for name in _FRACTIONS},
        **{name: rng.randrange(2) for name in _FLAGS},
        "genres": words(), "artists": words(), "tags": words(),
        "analysis_stages": rng.sample(STAGES, rng.randrange(3)),
        "tag_bpm": maybe(rng.choice(NUMBERS) + 60.0), "user_bpm": rng.choice([None, None, 128.0]),
        "tag_key": maybe(rng.randrange(24)), "user_rating": maybe(rng.randrange(6)),
        "tag_energy_level": maybe(rng.randrange(11)), "play_count": rng.randrange(6),
        "file_size": int(rng.choice(NUMBERS)), "file_mtime_ns": rng.choice(MOMENTS) * 1_000_000 + 7,
        "last_played": maybe(rng.choice(MOMENTS)), "date_analyzed": maybe(rng.choice(MOMENTS)),
        "date_added": rng.choice(MOMENTS), "updated_at": rng.choice(MOMENTS),
        "missing_since": rng.choice([None, *MOMENTS]), "library_directory_id": rng.choice(DIRECTORIES),
        "path": rng.choice(PATHS),
    }  # fmt: skip


def members(rng: Random) -> list[set[int]]:
    """Which tracks each playlist holds."""
    return [set(rng.sample(range(len(TRACKS)), rng.randrange(6))) for _ in PLAYLISTS]


def _scalar(rng: Random, field: Field) -> Any:
    if field.name in ("file_name", "relative_path") and rng.random() < 0.8:
        name = f"{rng.choice(PATHS)}.mp3"
        return name if field.name == "file_name" else rng.choice([f"{rng.randrange(4)}/{name}", "1/", "1"])
    if field.name == "format":
        return rng.choice(["mp3", "MP", "p3", "flac"])
    if field.name in ("library_directory_id", "missing_reason", "metadata_source", "bpm_source", "key_source"):
        return rng.choice([*DIRECTORIES, "file", "MEDIA", "tags", "tag", "user"])
    number = rng.choice(NUMBERS)
    return {
        Kind.FOLDED: rng.choice(WORDS),
        Kind.PLAIN: rng.choice([*WORDS, "mp3", ".MP3"]),
        Kind.NUMBER: int(number) if field.is_whole else float(number),
        Kind.TIME: rng.choice(DATES),
        Kind.FLAG: rng.random() < 0.5,
        Kind.KEY: rng.choice(["8A", "Am", "12B", "1A", "6m", "C"]),
        Kind.LIST: rng.choice([*WORDS, *STAGES]),
        Kind.ID: rng.choice(TRACKS),
    }[field.kind]


def _value(rng: Random, field: Field, op: Op) -> Any:
    several = [_scalar(rng, field) for _ in range(rng.randint(1, 3))]
    if op in (Op.IS_MISSING, Op.IS_PRESENT):
        return None
    if op in (Op.IN, Op.NOT_IN):
        return several
    if op in (Op.INCLUDES, Op.EXCLUDES):
        return rng.choice([several, several[0]])
    if op is Op.BETWEEN:
        return sorted([several[0], _scalar(rng, field)])
    special: dict[Op, Sequence[Any]] = {
        Op.IN_LAST: ["30d", "1d", "1y", "5 min"],
        Op.NOT_IN_LAST: ["30d", "2w"],
        Op.IN_PLAYLIST: PLAYLISTS,
        Op.NOT_IN_PLAYLIST: PLAYLISTS,
        Op.SIMILAR_TO: [*TRACKS, ids.new_id()],
        Op.KEY_COMPATIBLE: ["8A", "8A+", "12B", "1A+"],
        Op.BPM_COMPATIBLE: [128, {"bpm": 122, "percent": 1.5}, {"bpm": 60}],
    }
    return rng.choice(special[op]) if op in special else several[0]


def condition(rng: Random, field: Field, op: Op) -> dict[str, Any]:
    return {"field": field.name, "op": op.value, "value": _value(rng, field, op)}


# Every field with each operator that fits it.
PAIRS = tuple((field, op) for field in FIELDS.values() for op in sorted(field.operators))


def tree(rng: Random, depth: int = 4) -> dict[str, Any]:
    """A rule, nested at random."""
    form = rng.choice(["condition", "condition", "all", "any", "not"]) if depth else "condition"
    if form == "condition":
        return condition(rng, *rng.choice(PAIRS))
    if form == "not":
        return {"not": tree(rng, depth - 1)}
    return {form: [tree(rng, depth - 1) for _ in range(rng.randint(1 if form == "any" else 0, 3))]}
