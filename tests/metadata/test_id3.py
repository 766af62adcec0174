"""ID3 tags on MP3 files: what their frames mean, and how tags in one file go together."""

from __future__ import annotations

import io
import struct

import pytest
from mutagen.id3 import (
    APIC,
    COMM,
    GEOB,
    GRP1,
    ID3,
    POPM,
    PRIV,
    RVA2,
    SYLT,
    TALB,
    TBPM,
    TCMP,
    TCOM,
    TCON,
    TDOR,
    TDRC,
    TENC,
    TIT1,
    TIT2,
    TKEY,
    TPE1,
    TPE2,
    TPE4,
    TPOS,
    TPUB,
    TRCK,
    TSRC,
    TXXX,
    USLT,
    Encoding,
    Frame,
)

from server.hashing.container import Container
from server.metadata.model import Metadata, MetadataSource
from server.metadata.read import read

from . import audio


def tagged(*frames: Frame, version: int = 4, behind: bytes = b"") -> Metadata:
    tags = ID3()
    for frame in frames:
        tags.add(frame)
    content = audio.id3(tags, version) + audio.mp3() + behind
    return read(io.BytesIO(content), Container.MPEG, "file name.mp3")


@pytest.mark.parametrize("encoding", [Encoding.UTF16, Encoding.UTF16BE, Encoding.UTF8])
def test_every_field_is_read(encoding: int) -> None:
    metadata = tagged(
        TIT2(encoding, ["Jóga 電"]),
        TPE1(encoding, ["Björk"]),
        TALB(encoding, ["Homogenic"]),
        TPE2(encoding, ["Various"]),
        TCON(encoding, ["Electronic"]),
        TDRC(encoding, ["1997-09-22"]),
        TRCK(encoding, ["2/10"]),
        TPOS(encoding, ["1/2"]),
        TBPM(encoding, ["87.5"]),
        TKEY(encoding, ["F#m"]),
        TSRC(encoding, ["GBAAA9700001"]),
        TPUB(encoding, ["One Little Independent"]),
        TPE4(encoding, ["Alec Empire"]),
        TCOM(encoding, ["Guðmundsdóttir"]),
        COMM(encoding, "eng", "", ["peak time ★"]),
        TIT1(encoding, ["strings"]),
        TENC(encoding, ["an encoder"]),
        TXXX(encoding, "EnergyLevel", ["7"]),
    )
    assert metadata.title == "Jóga 電"
    assert (metadata.artist, metadata.artists) == ("Björk", ("Björk",))
    assert (metadata.album, metadata.album_artist) == ("Homogenic", "Various")
    assert (metadata.genre, metadata.genres) == ("Electronic", ("Electronic",))
    assert (metadata.year, metadata.date) == (1997, "1997-09-22")
    assert (metadata.track_number, metadata.track_total, metadata.disc_number, metadata.disc_total) == (2, 10, 1, 2)
    assert (metadata.bpm, metadata.initial_key, metadata.musical_key, metadata.mode) == (87.5, "F#m", 6, 0)
    assert metadata.key is not None
    assert metadata.key.camelot == "11A"
    assert (metadata.isrc, metadata.label) == ("GBAAA9700001", "One Little Independent")
    assert (metadata.remixer, metadata.composer) == ("Alec Empire", "Guðmundsdóttir")
    assert (metadata.comment, metadata.grouping) == ("peak time ★", "strings")
    assert (metadata.encoder, metadata.energy_level) == ("an encoder", 7)
    assert metadata.metadata_source is MetadataSource.TAGS
    assert metadata.tags_error is None


def test_values_of_version_4_are_separated_by_nul() -> None:
    metadata = tagged(TIT2(3, ["t"]), TPE1(3, ["Leftfield", "John Lydon"]), TCON(3, ["House", "17"]))
    assert (metadata.artist, metadata.artists) == ("Leftfield", ("Leftfield", "John Lydon"))
    assert (metadata.genre, metadata.genres) == ("House", ("House", "Rock"))


@pytest.mark.parametrize("version", [3, 4])
def test_a_slash_never_splits_an_artist(version: int) -> None:
    metadata = tagged(TIT2(1, ["t"]), TPE1(1, ["AC/DC"]), version=version)
    assert metadata.artists == ("AC/DC",)


def test_the_artists_tag_tells_a_credited_artist_apart() -> None:
    metadata = tagged(TIT2(3, ["t"]), TPE1(3, ["A feat. B"]), TXXX(3, "Artists", ["A", "B"]))
    assert (metadata.artist, metadata.artists) == ("A feat. B", ("A", "B"))


def test_year_day_and_time_of_version_3_make_one_date() -> None:
    metadata = tagged(TIT2(1, ["t"]), TDRC(1, ["2004-05-06T12:30"]), version=3)
    assert (metadata.year, metadata.date) == (2004, "2004-05-06T12:30:00")


def test_the_original_date_stands_in_for_a_missing_one() -> None:
    assert tagged(TDOR(3, ["1974"])).year == 1974
    assert tagged(TDOR(3, ["1974"]), TDRC(3, ["2011"])).year == 2011


def test_itunes_private_comments_are_not_the_comment() -> None:
    itunes = [COMM(3, "eng", name, ["00000000 00000210"]) for name in ("iTunNORM", "iTunSMPB", "iTunPGAP")]
    assert tagged(*itunes).comment is None
    assert tagged(*itunes, COMM(3, "eng", "", ["mine"])).comment == "mine"
    assert tagged(*itunes, COMM(3, "deu", "Bemerkung", ["meins"])).comment == "meins"


def test_a_comment_keeps_its_lines() -> None:
    assert tagged(COMM(3, "eng", "", ["one\r\ntwo"])).comment == "one\ntwo"


def test_popularimeter_is_the_rating() -> None:
    assert tagged(POPM("Windows Media Player 9 Series", 196, 3)).rating == 4
    assert tagged(POPM("a", 0, 1), POPM("b", 102, 0)).rating == 2
    assert tagged(TXXX(3, "FMPS_Rating", ["0.6"])).rating == 3


def test_replaygain_is_read_from_either_frame() -> None:
    gained = tagged(
        TXXX(3, "REPLAYGAIN_TRACK_GAIN", ["-7.30 dB"]),
        TXXX(3, "replaygain_track_peak", ["0.988"]),
        TXXX(3, "replaygain_album_gain", ["-6.1 dB"]),
    )
    assert (gained.replaygain_track_gain, gained.replaygain_track_peak) == (-7.3, 0.988)
    assert (gained.replaygain_album_gain, gained.replaygain_album_peak) == (-6.1, None)
    adjusted = tagged(RVA2("track", 1, -5.5, 0.5), RVA2("album", 1, 2.0, 0))
    assert (adjusted.replaygain_track_gain, adjusted.replaygain_album_gain) == (-5.5, 2.0)
    assert adjusted.replaygain_track_peak == pytest.approx(0.5, abs=0.001)


def test_the_front_cover_is_the_artwork() -> None:
    metadata = tagged(APIC(0, "image/png", 4, "back", bytes(50)), APIC(0, "image/jpeg", 3, "front", bytes(70)))
    assert (metadata.has_artwork, metadata.artwork_type, metadata.artwork_size) == (True, "image/jpeg", 70)


def test_the_first_picture_stands_in_for_a_front_cover() -> None:
    metadata = tagged(APIC(3, "image/png", 0, "é" * 300, bytes(50)))
    assert (metadata.artwork_type, metadata.artwork_size) == ("image/png", 50)


def test_a_link_to_a_picture_is_no_artwork() -> None:
    assert not tagged(APIC(0, "-->", 3, "", b"http://example.org/x.png")).has_artwork


def test_lyrics_are_present_or_not() -> None:
    assert tagged(USLT(3, "eng", "", "la la")).has_lyrics
    assert tagged(SYLT(3, "eng", 2, 1, "", [("la", 100)])).has_lyrics
    assert not tagged(USLT(3, "eng", "", "")).has_lyrics
    assert not tagged(TIT2(3, ["t"])).has_lyrics


def test_flags_and_groupings_of_itunes() -> None:
    metadata = tagged(TCMP(3, ["1"]), GRP1(3, ["warm-up"]), TIT1(3, ["a work"]))
    assert metadata.compilation
    assert metadata.grouping == "warm-up"


def test_blobs_of_dj_software_are_not_text() -> None:
    blobs = [
        GEOB(0, "application/octet-stream", "", "Serato Markers2", bytes(9000)),
        PRIV("TRAKTOR4", bytes(range(256))),
    ]
    metadata = tagged(TIT2(3, ["t"]), *blobs)
    assert metadata.title == "t"
    assert metadata.comment is None


def test_an_older_tag_fills_gaps_and_overrides_nothing() -> None:
    metadata = tagged(TIT2(3, ["new"]), behind=audio.id3v1("old", "artist", "comment", 3, 17))
    assert (metadata.title, metadata.artist, metadata.comment) == ("new", "artist", "comment")
    assert (metadata.track_number, metadata.genre, metadata.year) == (3, "Rock", 1999)


def test_an_ape_tag_fills_gaps_and_overrides_nothing() -> None:
    ape = audio.ape_tag(Title="ape", Artist="A/B", replaygain_track_gain="-3.0 dB")
    metadata = tagged(TIT2(3, ["id3"]), behind=ape + audio.id3v1("v1", "v1"))
    assert (metadata.title, metadata.artist, metadata.replaygain_track_gain) == ("id3", "A/B", -3.0)


def test_tags_behind_the_audio_are_no_audio() -> None:
    plain = tagged(TIT2(3, ["t"]))
    around = tagged(TIT2(3, ["t"]), behind=audio.ape_tag(Title="x" * 5000) + audio.id3v1("v1"))
    assert plain.duration_seconds == around.duration_seconds == 50 * 1152 / 44100


def test_stacked_tags_complete_each_other() -> None:
    first, second = ID3(), ID3()
    first.add(TIT2(3, ["first"]))
    second.add(TIT2(3, ["second"]))
    second.add(TALB(3, ["album"]))
    content = audio.id3(first) + audio.id3(second, 3) + audio.mp3()
    metadata = read(io.BytesIO(content), Container.MPEG, "x.mp3")
    assert (metadata.title, metadata.album) == ("first", "album")


def test_an_id3_tag_at_the_end_is_found_by_its_footer() -> None:
    tags = ID3()
    tags.add(TIT2(3, ["appended"]))
    tag = bytearray(audio.id3(tags, padding=0))
    tag[5] |= 0x10
    content = audio.mp3() + bytes(tag) + b"3DI" + bytes(tag[3:10])
    assert read(io.BytesIO(content), Container.MPEG, "x.mp3").title == "appended"


def test_text_invalid_in_its_encoding_is_repaired() -> None:
    frame = b"TIT2" + struct.pack(">IH", 5, 0) + b"\x03\xffran"
    content = b"ID3\x03\0\0\0\0\0" + bytes([len(frame)]) + frame + audio.mp3()
    metadata = read(io.BytesIO(content), Container.MPEG, "x.mp3")
    assert metadata.title == "\ufffdran"


def test_frames_of_version_2_are_read() -> None:
    frames = b"TT2\0\0\x06\0title" + b"TP1\0\0\x07\0artist" + b"TYE\0\0\x05\x001997" + b"TDA\0\0\x05\x002209"
    picture = b"\0PNG\x03\0" + b"\x89" * 40
    frames += b"PIC" + len(picture).to_bytes(3, "big") + picture
    content = b"ID3\x02\0\0\0\0\0" + bytes([len(frames)]) + frames + audio.mp3()
    metadata = read(io.BytesIO(content), Container.MPEG, "x.mp3")
    assert (metadata.title, metadata.artist, metadata.date) == ("title", "artist", "1997-09-22")
    assert (metadata.artwork_type, metadata.artwork_size) == ("image/png", 40)


def test_a_tag_that_is_cut_off_gives_what_it_still_has() -> None:
    tags = ID3()
    tags.add(TIT2(3, ["title"]))
    tags.add(TALB(3, ["x" * 4000]))
    metadata = read(io.BytesIO(audio.id3(tags)[:200]), Container.MPEG, "x.mp3")
    assert metadata.title == "title"
    assert metadata.tags_error is not None
    assert metadata.tags_error.startswith("truncated: ")
