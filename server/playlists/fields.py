"""The fields that rules may name: what kind of value each holds, which columns of `tracks` it reads, how it is said."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """`folded` text is compared like in a search, without case, accents and punctuation; `plain` text only without the
    case of ASCII letters. `list` is a field with several values.
    """

    FOLDED = "folded"
    PLAIN = "plain"
    NUMBER = "number"
    TIME = "time"
    FLAG = "flag"
    KEY = "key"
    LIST = "list"
    ID = "id"


class Op(StrEnum):
    IS = "is"
    IS_NOT = "is_not"
    GT = "gt"
    GTE = "gte"
    LT = "lt"
    LTE = "lte"
    BETWEEN = "between"
    IN = "in"
    NOT_IN = "not_in"
    CONTAINS = "contains"
    NOT_CONTAINS = "not_contains"
    STARTS_WITH = "starts_with"
    ENDS_WITH = "ends_with"
    BEFORE = "before"
    AFTER = "after"
    IN_LAST = "in_last"
    NOT_IN_LAST = "not_in_last"
    IS_MISSING = "is_missing"
    IS_PRESENT = "is_present"
    INCLUDES = "includes"
    EXCLUDES = "excludes"
    IN_PLAYLIST = "in_playlist"
    NOT_IN_PLAYLIST = "not_in_playlist"
    KEY_COMPATIBLE = "key_compatible"
    BPM_COMPATIBLE = "bpm_compatible"
    SIMILAR_TO = "similar_to"


_EQUALITY = frozenset({Op.IS, Op.IS_NOT, Op.IN, Op.NOT_IN})
_PRESENCE = frozenset({Op.IS_MISSING, Op.IS_PRESENT})
_TEXT = _EQUALITY | _PRESENCE | {Op.CONTAINS, Op.NOT_CONTAINS, Op.STARTS_WITH, Op.ENDS_WITH}
OPERATORS: dict[Kind, frozenset[Op]] = {
    Kind.FOLDED: _TEXT,
    Kind.PLAIN: _TEXT,
    Kind.NUMBER: _EQUALITY | _PRESENCE | {Op.GT, Op.GTE, Op.LT, Op.LTE, Op.BETWEEN},
    Kind.TIME: _PRESENCE | {Op.BEFORE, Op.AFTER, Op.BETWEEN, Op.IN_LAST, Op.NOT_IN_LAST},
    Kind.FLAG: frozenset({Op.IS, Op.IS_NOT}),
    Kind.KEY: _EQUALITY | _PRESENCE | {Op.KEY_COMPATIBLE},
    Kind.LIST: _PRESENCE | {Op.INCLUDES, Op.EXCLUDES},
    Kind.ID: _EQUALITY | {Op.IN_PLAYLIST, Op.NOT_IN_PLAYLIST, Op.SIMILAR_TO},
}
# An operator that says the opposite of another one. What is missing fulfils it: a track without a genre isn't Techno.
OPPOSITE = {
    Op.IS_NOT: Op.IS,
    Op.NOT_IN: Op.IN,
    Op.NOT_CONTAINS: Op.CONTAINS,
    Op.NOT_IN_LAST: Op.IN_LAST,
    Op.IS_PRESENT: Op.IS_MISSING,
    Op.EXCLUDES: Op.INCLUDES,
    Op.NOT_IN_PLAYLIST: Op.IN_PLAYLIST,
}


@dataclass(frozen=True, slots=True)
class Field:
    """`column` is an SQL expression over `tracks`; `reads` the columns that the field depends on; `label` its name in
    a sentence. `is_whole`: only whole numbers are stored. `terms` names the entries of `track_terms` that hold further
    values. Units are those of the track resource.
    """

    name: str
    kind: Kind
    column: str
    label: str
    unit: str = ""
    is_whole: bool = False
    terms: str | None = None
    reads: frozenset[str] = frozenset()

    @property
    def operators(self) -> frozenset[Op]:
        extra = {Op.BPM_COMPATIBLE} if self.name == "bpm" else set()
        return OPERATORS[self.kind] | extra

    @property
    def columns(self) -> frozenset[str]:
        return self.reads or frozenset({self.column})


_UNREACHABLE = (
    "(SELECT l.{} FROM track_locations l WHERE l.library_directory_id = tracks.library_directory_id"
    " AND l.unreachable_reason IS NOT NULL)"
)
_MISSING_REASON = (
    f"coalesce({_UNREACHABLE.format('unreachable_reason')}, CASE WHEN missing_since IS NOT NULL THEN 'file' END)"
)
_MISSING_SINCE = (
    f"CASE WHEN {_UNREACHABLE.format('unreachable_reason')} IS NULL THEN missing_since"
    f" ELSE {_UNREACHABLE.format('unreachable_since')} END"
)
_PLACE = frozenset({"missing_since", "library_directory_id"})
_KEY = frozenset({"key_index"})


def _numbers() -> list[Field]:
    whole = {
        "year": "year", "track_number": "track number", "track_total": "number of tracks", "disc_number": "disc number",
        "disc_total": "number of discs", "channels": "number of channels", "rating": "rating",
        "energy_level": "energy level", "play_count": "play count", "first_phrase_beat_no": "first phrase's beat",
    }  # fmt: skip
    fractions = {
        "energy": "energy", "danceability": "danceability", "valence": "valence", "arousal": "arousal",
        "acousticness": "acousticness", "instrumentalness": "instrumentalness",
    }  # fmt: skip
    seconds = {
        "duration_seconds": "length", "first_beat_offset": "first beat", "audible_start_time": "audible start",
        "audible_end_time": "audible end",
    }  # fmt: skip
    return [
        *(Field(name, Kind.NUMBER, name, label, is_whole=True) for name, label in whole.items()),
        *(Field(name, Kind.NUMBER, name, label) for name, label in fractions.items()),
        *(Field(name, Kind.NUMBER, name, label, "s") for name, label in seconds.items()),
        Field("bpm", Kind.NUMBER, "bpm", "tempo", "BPM"),
        Field("loudness", Kind.NUMBER, "loudness", "loudness", "LUFS"),
        Field("file_size", Kind.NUMBER, "file_size", "file size", "bytes", is_whole=True),
        Field("artwork_size", Kind.NUMBER, "artwork_size", "artwork size", "bytes", is_whole=True),
        Field("sample_rate", Kind.NUMBER, "sample_rate", "sample rate", "Hz", is_whole=True),
        Field("bit_depth", Kind.NUMBER, "bit_depth", "bit depth", "bit", is_whole=True),
        Field("bit_rate", Kind.NUMBER, "bit_rate", "bit rate", "bit/s", is_whole=True),
        Field("musical_key", Kind.NUMBER, "(key_index / 2)", "tonic", is_whole=True, reads=_KEY),
        Field("mode", Kind.NUMBER, "(key_index % 2)", "mode", is_whole=True, reads=_KEY),
    ]


def _texts() -> list[Field]:
    folded = ("title", "artist", "album", "album_artist", "genre", "label", "composer", "remixer", "comment")
    plain = {
        "file_name": "file name", "relative_path": "path", "format": "format", "container": "container",
        "codec": "codec", "isrc": "ISRC", "grouping": "grouping", "date": "date tag", "encoder": "encoder",
        "bit_rate_mode": "bit rate mode", "audio_hash": "audio hash", "metadata_source": "source of the tags",
        "bpm_source": "source of the tempo", "key_source": "source of the key", "color_tag": "colour",
        "artwork_type": "artwork type", "tags_error": "tag error", "library_directory_id": "library directory",
        "duplicate_group_id": "duplicate group",
    }  # fmt: skip
    return [
        *(
            Field(
                name, Kind.FOLDED, name, name.replace("_", " "),
                terms=name if name in ("artist", "genre") else None,
                reads=frozenset({name, f"{name}_fold"} | ({f"{name}s"} if name in ("artist", "genre") else set())),
            )
            for name in folded
        ),
        *(Field(name, Kind.PLAIN, name, label) for name, label in plain.items()),
        Field("missing_reason", Kind.PLAIN, _MISSING_REASON, "reason for missing", reads=_PLACE),
    ]  # fmt: skip


def _others() -> list[Field]:
    times = {
        "date_added": "date added", "last_played": "last play", "date_analyzed": "date of analysis",
        "updated_at": "last change",
    }  # fmt: skip
    flags = {
        "compilation": "from a compilation", "has_artwork": "with artwork", "has_lyrics": "with lyrics",
        "is_analyzed": "analysed", "is_favorite": "a favourite",
    }  # fmt: skip
    place = f"(CASE WHEN {_MISSING_REASON} IS NULL THEN 0 ELSE 1 END)"
    lists = {"artists": ("artist", "artists"), "genres": ("genre", "genres"), "tags": ("tag", "tags")}
    return [
        *(Field(name, Kind.TIME, name, label) for name, label in times.items()),
        Field(
            "file_modified", Kind.TIME, "(file_mtime_ns / 1000000)", "date of the file",
            reads=frozenset({"file_mtime_ns"}),
        ),
        Field("missing_since", Kind.TIME, _MISSING_SINCE, "day it went missing", reads=_PLACE),
        *(Field(name, Kind.FLAG, name, label) for name, label in flags.items()),
        Field("is_missing", Kind.FLAG, place, "missing", reads=_PLACE),
        Field(
            "is_duplicate", Kind.FLAG, "(CASE WHEN duplicate_group_id IS NULL THEN 0 ELSE 1 END)", "a duplicate",
            reads=frozenset({"duplicate_group_id"}),
        ),
        Field(
            "has_stems", Kind.FLAG, "(CASE WHEN analysis_stages LIKE '%\"stems\"%' THEN 1 ELSE 0 END)",
            "with stems", reads=frozenset({"analysis_stages"}),
        ),
        *(
            Field(name, Kind.LIST, name, label, terms=term,
                  reads=frozenset({name} if term == "tag" else {name, term, f"{term}_fold"}))
            for name, (term, label) in lists.items()
        ),
        Field("analysis_stages", Kind.LIST, "analysis_stages", "analysis stages"),
        *(Field(name, Kind.KEY, "key_order", "key", reads=_KEY) for name in ("key", "camelot", "key_name")),
        Field("id", Kind.ID, "id", "track", reads=frozenset({"id"})),
    ]  # fmt: skip


FIELDS: dict[str, Field] = {field.name: field for field in (*_numbers(), *_texts(), *_others())}
# Another name that the API's filters and sorts use.
ALIASES = {"duration": "duration_seconds"}
