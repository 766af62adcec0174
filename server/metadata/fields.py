"""The names under which free-form tags (Vorbis, APEv2, ID3 TXXX, MP4, ASF, Matroska) keep each field."""

from __future__ import annotations

from functools import lru_cache

_LONGEST_NAME = 64

# Field name in a Draft → how taggers call it, letters and digits only.
ALIASES: dict[str, tuple[str, ...]] = {
    "title": ("title",),
    "artist": ("artist", "author"),
    "artists": ("artists",),
    "album": ("album", "albumtitle"),
    "album_artist": ("albumartist", "ensemble"),
    "genre": ("genre",),
    "date": ("date", "recordingdate", "recorddate", "daterecorded"),
    "year": ("year",),
    "release_date": ("releasedate", "datereleased", "releasetime", "datereleasedate"),
    "original_date": ("originaldate", "originalyear", "origyear", "originalreleasedate"),
    "track": ("tracknumber", "track", "trackno", "tracknum", "partnumber"),
    "track_total": ("tracktotal", "totaltracks", "trackcount", "trackc", "totalparts"),
    "disc": ("discnumber", "disc", "disk", "disknumber", "discno", "partofset"),
    "disc_total": ("disctotal", "totaldiscs", "disccount", "discc", "disktotal", "totaldisks"),
    "comment": ("comment", "comments"),
    "description": ("description",),
    "composer": ("composer",),
    "remixer": ("remixer", "mixartist", "remixedby", "modifiedby"),
    "label": ("label", "recordlabel"),
    "publisher": ("publisher", "organization", "organisation"),
    "isrc": ("isrc",),
    "grouping": ("grouping", "contentgroup", "contentgroupdescription"),
    "compilation": ("compilation", "itunescompilation", "iscompilation"),
    "lyrics": ("lyrics", "unsyncedlyrics", "unsynchronisedlyrics", "unsynchronizedlyrics", "syncedlyrics"),
    "bpm": ("bpm", "tempo", "beatsperminute"),
    "initial_key": ("initialkey", "key"),
    "energy_level": ("energylevel",),
    "rating": ("rating",),
    "fmps_rating": ("fmpsrating",),
    "encoder": ("encoder", "encodersettings", "encodingsettings", "encodersoftware", "encodingtool"),
    "encoded_by": ("encodedby",),
    "replaygain_track_gain": ("replaygaintrackgain",),
    "replaygain_track_peak": ("replaygaintrackpeak",),
    "replaygain_album_gain": ("replaygainalbumgain",),
    "replaygain_album_peak": ("replaygainalbumpeak",),
    "r128_track_gain": ("r128trackgain",),
    "r128_album_gain": ("r128albumgain",),
}

_FIELDS = {alias: name for name, aliases in ALIASES.items() for alias in aliases}


@lru_cache(maxsize=4096)
def of(name: str) -> str | None:
    """The field that a free-form tag of this name holds. Case, blanks, `_`, `-`, `/` and `.` don't matter."""
    if len(name) > _LONGEST_NAME:
        return None
    return _FIELDS.get("".join(letter for letter in name.casefold() if letter.isalnum()))
