"""Containers other than MP3: their streams and the tags they are known for, on files made from nothing."""

from __future__ import annotations

import base64
import io
import struct

import pytest
from mutagen.id3 import ID3, TALB, TIT2, TPE1

from server.hashing.container import Container
from server.metadata.model import BitRateMode, Metadata
from server.metadata.read import read

from . import audio


def described(content: bytes, container: Container, name: str = "file name.x") -> Metadata:
    return read(io.BytesIO(content), container, name)


def id3_tag() -> bytes:
    tags = ID3()
    tags.add(TIT2(3, ["id3 title"]))
    tags.add(TPE1(3, ["id3 artist"]))
    tags.add(TALB(3, ["id3 album"]))
    return audio.id3(tags)


class TestMpeg:
    def test_frames_are_counted_where_no_header_states_their_number(self) -> None:
        metadata = described(audio.mp3(100), Container.MPEG)
        assert metadata.duration_seconds == pytest.approx(100 * 1152 / 44_100)
        assert (metadata.sample_rate, metadata.channels, metadata.codec) == (44_100, 2, "mp3")
        assert (metadata.bit_rate, metadata.bit_rate_mode, metadata.bit_depth) == (128_000, BitRateMode.CBR, None)

    def test_an_encoders_header_is_believed_and_is_no_audio(self) -> None:
        metadata = described(audio.mp3_with_info(40), Container.MPEG)
        assert metadata.duration_seconds == pytest.approx(40 * 1152 / 44_100)
        assert metadata.bit_rate == round(417 * 8 / (1152 / 44_100))

    @pytest.mark.parametrize(
        ("word", "method", "mode"),
        [
            (b"Xing", None, BitRateMode.VBR),
            (b"Info", None, BitRateMode.CBR),
            (b"Xing", 4, BitRateMode.VBR),
            (b"Xing", 2, BitRateMode.ABR),
            (b"Info", 1, BitRateMode.CBR),
        ],
    )
    def test_the_mode_is_what_the_encoder_says(self, word: bytes, method: int | None, mode: BitRateMode) -> None:
        metadata = described(audio.mp3_with_info(40, word=word, lame_method=method), Container.MPEG)
        assert metadata.bit_rate_mode is mode
        assert metadata.encoder == (None if method is None else "LAME3.100")

    def test_a_long_constant_stream_is_measured_without_counting(self) -> None:
        padded = b"\xff\xfb\x92\x00" + bytes(414)  # a byte longer, as 47 of 49 frames are at 128 kbit/s
        stream = (padded * 24 + audio.MP3_FRAME) * 200
        for content in (stream, stream + padded[:200]):
            metadata = described(content, Container.MPEG)
            frames = 5000 + (len(content) > len(stream))
            assert metadata.duration_seconds == pytest.approx(frames * 1152 / 44_100)
            assert metadata.bit_rate_mode is BitRateMode.CBR

    def test_a_long_stream_with_a_varying_rate_is_counted(self) -> None:
        fast = b"\xff\xfb\xe0\x00" + bytes(1040)  # 320 kbit/s
        metadata = described(audio.mp3(2000) + fast * 2000, Container.MPEG)
        assert metadata.duration_seconds == pytest.approx(4000 * 1152 / 44_100)
        assert (metadata.bit_rate, metadata.bit_rate_mode) == (224_000, BitRateMode.VBR)

    def test_junk_in_front_and_between_frames_is_stepped_over(self) -> None:
        content = b"junk\xff\xfb\x00" * 50 + audio.mp3(20) + b"\0" * 333 + audio.mp3(20)
        metadata = described(content, Container.MPEG)
        assert metadata.duration_seconds == pytest.approx(40 * 1152 / 44_100)

    def test_a_file_without_frames_says_so_and_keeps_its_tags(self) -> None:
        metadata = described(id3_tag() + b"nothing" * 100, Container.MPEG)
        assert (metadata.title, metadata.duration_seconds) == ("id3 title", None)
        assert metadata.tags_error is not None
        assert metadata.tags_error.startswith("no_audio: ")


class TestFlac:
    def test_comments_pictures_and_stream_are_read(self) -> None:
        comments = audio.vorbis_comments(
            "TITLE=t",
            "artist=A",
            "ARTIST=B",
            "Genre=House",
            "GENRE=Techno",
            "DATE=1999-05",
            "TRACKNUMBER=3",
            "TRACKTOTAL=9",
            "DISCNUMBER=1/2",
            "ALBUM ARTIST=various",
            "ORGANIZATION=label",
            "INITIALKEY=8A",
            "BPM=126",
            "FMPS_RATING=0.8",
            "REPLAYGAIN_TRACK_GAIN=-6.5 dB",
            "COMPILATION=1",
            "LYRICS=la",
        )
        blocks = audio.flac_block(4, comments) + audio.flac_block(6, audio.flac_picture(b"P" * 33))
        metadata = described(audio.flac(blocks), Container.FLAC)
        assert (metadata.title, metadata.artists, metadata.genres) == ("t", ("A", "B"), ("House", "Techno"))
        assert (metadata.date, metadata.year, metadata.album_artist, metadata.label) == (
            "1999-05",
            1999,
            "various",
            "label",
        )
        assert (metadata.track_number, metadata.track_total) == (3, 9)
        assert (metadata.disc_number, metadata.disc_total) == (1, 2)
        assert (metadata.musical_key, metadata.mode, metadata.bpm, metadata.rating) == (9, 0, 126.0, 4)
        assert (metadata.replaygain_track_gain, metadata.compilation, metadata.has_lyrics) == (-6.5, True, True)
        assert (metadata.artwork_type, metadata.artwork_size) == ("image/png", 33)
        assert (metadata.sample_rate, metadata.channels, metadata.bit_depth) == (44_100, 2, 16)
        assert (metadata.duration_seconds, metadata.bit_rate) == (1.0, 8000)
        assert (metadata.encoder, metadata.bit_rate_mode) == ("test encoder", BitRateMode.VBR)

    def test_its_own_comments_go_before_id3_tags_around_it(self) -> None:
        content = (
            id3_tag() + audio.flac(audio.flac_block(4, audio.vorbis_comments("TITLE=own"))) + audio.id3v1("v1", "v1")
        )
        metadata = described(content, Container.FLAC)
        assert (metadata.title, metadata.artist, metadata.album) == ("own", "id3 artist", "id3 album")

    def test_comments_larger_than_their_block_states_are_read(self) -> None:
        block = audio.flac_block(4, audio.vorbis_comments("TITLE=t", "ALBUM=a"), stated_size=0)
        metadata = described(audio.flac(block), Container.FLAC)
        assert (metadata.title, metadata.album, metadata.bit_rate) == ("t", "a", 8000)

    def test_comments_that_are_cut_off_are_read_as_far_as_they_go(self) -> None:
        whole = audio.flac(audio.flac_block(4, audio.vorbis_comments("TITLE=t", "ALBUM=" + "a" * 5000)))
        metadata = described(whole[:300], Container.FLAC)
        assert metadata.title == "t"
        assert metadata.tags_error is not None


class TestOgg:
    def test_vorbis_has_its_nominal_rate(self) -> None:
        metadata = described(audio.ogg_vorbis("TITLE=t", "ARTIST=a", seconds=2.5), Container.OGG)
        assert (metadata.title, metadata.artist, metadata.codec) == ("t", "a", "vorbis")
        assert (metadata.duration_seconds, metadata.bit_rate, metadata.bit_rate_mode) == (2.5, 160_000, BitRateMode.VBR)

    def test_opus_plays_at_48_khz_without_its_pre_skip(self) -> None:
        metadata = described(audio.opus("TITLE=t", "R128_TRACK_GAIN=-512", seconds=2.0), Container.OGG)
        assert (metadata.duration_seconds, metadata.sample_rate, metadata.codec) == (2.0, 48_000, "opus")
        assert metadata.bit_rate == 500 * 8 / 2
        assert metadata.replaygain_track_gain == 3.0

    def test_a_picture_in_the_comments_is_artwork(self) -> None:
        picture = base64.b64encode(audio.flac_picture(b"J" * 200_000, "image/jpeg")).decode()
        metadata = described(audio.ogg_vorbis("TITLE=t", f"METADATA_BLOCK_PICTURE={picture}", "ALBUM=a"), Container.OGG)
        assert (metadata.artwork_type, metadata.artwork_size, metadata.album) == ("image/jpeg", 200_000, "a")

    def test_a_picture_that_is_no_base64_is_none(self) -> None:
        metadata = described(audio.ogg_vorbis("TITLE=t", "METADATA_BLOCK_PICTURE=!!!!"), Container.OGG)
        assert not metadata.has_artwork

    def test_the_sound_of_a_film_is_what_counts(self) -> None:
        film = audio.ogg([b"\x80theora" + bytes(40), b"\x81theora" + bytes(8)], 10, serial=1)
        sound = audio.ogg_vorbis("TITLE=sound", seconds=3.0)
        first_film_page = film[: 27 + 1 + 47]
        content = first_film_page + sound + film[len(first_film_page) :]
        metadata = described(content, Container.OGG)
        assert (metadata.codec, metadata.title, metadata.duration_seconds) == ("vorbis", "sound", 3.0)

    def test_data_behind_the_stream_does_not_hide_its_end(self) -> None:
        metadata = described(audio.ogg_vorbis("TITLE=t", seconds=2.0) + b"x" * 700_000, Container.OGG)
        assert metadata.duration_seconds == 2.0

    def test_quod_libets_rating_is_a_fraction(self) -> None:
        assert described(audio.ogg_vorbis("RATING:me@example.org=0.4"), Container.OGG).rating == 2


class TestMp4:
    def test_items_and_track_are_read(self) -> None:
        free = audio.box(
            b"----",
            audio.box(b"mean", bytes(4) + b"com.apple.iTunes"),
            audio.box(b"name", bytes(4) + b"initialkey"),
            audio.box(b"data", struct.pack(">II", 1, 0), b"Am"),
        )
        metadata = described(
            audio.mp4(
                audio.item(b"\xa9nam", 1, "títle".encode()),
                audio.item(b"\xa9ART", 1, b"AC/DC"),
                audio.item(b"aART", 1, b"album artist"),
                audio.item(b"gnre", 0, b"\0\x12"),
                audio.item(b"\xa9day", 1, b"2011-03-22T07:00:00Z"),
                audio.item(b"trkn", 0, b"\0\0\0\3\0\x0b\0\0"),
                audio.item(b"disk", 0, b"\0\0\0\1\0\0"),
                audio.item(b"tmpo", 21, b"\0\x80"),
                audio.item(b"cpil", 21, b"\1"),
                audio.item(b"rate", 1, b"80"),
                audio.item(b"covr", 13, b"\x89PNG" + bytes(60)),
                free,
            ),
            Container.MP4,
        )
        assert (metadata.title, metadata.artist, metadata.album_artist) == ("títle", "AC/DC", "album artist")
        assert (metadata.genre, metadata.year, metadata.date) == ("Rock", 2011, "2011-03-22T07:00:00")
        assert (metadata.track_number, metadata.track_total) == (3, 11)
        assert (metadata.disc_number, metadata.disc_total) == (1, None)
        assert (metadata.bpm, metadata.compilation, metadata.rating, metadata.musical_key) == (128.0, True, 4, 9)
        assert (metadata.artwork_type, metadata.artwork_size) == ("image/png", 64)
        assert (metadata.codec, metadata.sample_rate, metadata.channels) == ("aac", 44_100, 2)
        assert (metadata.duration_seconds, metadata.bit_rate) == (3.0, 1600)

    def test_a_file_that_ends_inside_its_tags_keeps_its_stream(self) -> None:
        content = audio.mp4(audio.item(b"\xa9nam", 1, b"title"), audio.item(b"covr", 13, bytes(9000)))
        metadata = described(content[: content.index(b"covr") + 100], Container.MP4)
        assert (metadata.title, metadata.duration_seconds, metadata.channels) == ("title", 3.0, 2)

    def test_fragments_add_up(self) -> None:
        content = bytearray(audio.mp4())
        at = content.index(b"mdhd") + 4 + 16
        content[at : at + 4] = bytes(4)
        run = audio.box(b"trun", struct.pack(">III", 0x100, 2, 22_050) + struct.pack(">I", 22_050))
        traf = audio.box(b"traf", audio.box(b"tfhd", struct.pack(">II", 0, 1)), run)
        default = audio.box(
            b"traf", audio.box(b"tfhd", struct.pack(">III", 8, 1, 44_100)), audio.box(b"trun", bytes(7) + b"\3")
        )
        content += audio.box(b"moof", traf) + audio.box(b"mdat", bytes(10)) + audio.box(b"moof", default)
        assert described(bytes(content), Container.MP4).duration_seconds == 4.0


class TestWav:
    def test_the_info_list_is_read(self) -> None:
        info = audio.riff_info(
            INAM=b"B\xf6rk", IART="Łukasz".encode(), IPRD=b"a", IGNR=b"House", ICRD=b"1999", ITRK=b"3"
        )
        metadata = described(audio.wav(info), Container.WAV)
        assert (metadata.title, metadata.artist, metadata.album) == ("Börk", "Łukasz", "a")
        assert (metadata.genre, metadata.year, metadata.track_number) == ("House", 1999, 3)
        assert (metadata.duration_seconds, metadata.bit_rate, metadata.bit_depth) == (1.0, 128_000, 16)
        assert (metadata.codec, metadata.bit_rate_mode) == ("pcm", BitRateMode.CBR)

    def test_an_id3_chunk_goes_before_the_info_list(self) -> None:
        metadata = described(
            audio.wav(audio.riff_info(INAM=b"info", ICMT=b"comment"), audio.riff_chunk(b"id3 ", id3_tag())),
            Container.WAV,
        )
        assert (metadata.title, metadata.comment) == ("id3 title", "comment")

    def test_missing_and_additional_pad_bytes_do_not_lose_chunks(self) -> None:
        odd = (
            b"IART"
            + struct.pack("<I", 3)
            + b"abc"
            + b"INAM"
            + struct.pack("<I", 1)
            + b"t\0\0IPRD"
            + struct.pack("<I", 1)
            + b"a"
        )
        metadata = described(audio.wav(audio.riff_chunk(b"LIST", b"INFO" + odd)), Container.WAV)
        assert (metadata.artist, metadata.title, metadata.album) == ("abc", "t", "a")

    def test_sizes_beyond_32_bits_stand_in_ds64(self) -> None:
        sizes = struct.pack("<QQQI", 0, 16_000, 8000, 0)
        content = bytearray(audio.wav(audio.riff_chunk(b"ds64", sizes), magic=b"RF64"))
        at = content.index(b"data") + 4
        content[at : at + 4] = b"\xff\xff\xff\xff"
        assert described(bytes(content), Container.WAV).duration_seconds == 1.0

    def test_an_acid_loop_has_a_tempo_and_a_broadcast_wave_a_date(self) -> None:
        acid = audio.riff_chunk(b"acid", bytes(20) + struct.pack("<f", 126.0))
        bext = audio.riff_chunk(b"bext", b"a description".ljust(256, b"\0") + bytes(64) + b"2004-05-06" + bytes(300))
        metadata = described(audio.wav(acid, bext), Container.WAV)
        assert (metadata.bpm, metadata.date, metadata.comment) == (126.0, "2004-05-06", "a description")

    def test_compressed_audio_is_as_long_as_its_facts_say(self) -> None:
        content = audio.wav(audio.riff_chunk(b"fact", struct.pack("<I", 16_000)), tag=0x11)
        metadata = described(content, Container.WAV)
        assert (metadata.codec, metadata.duration_seconds, metadata.bit_rate) == ("adpcm", 2.0, 64_000)
        assert metadata.bit_depth is None


class TestAiff:
    def test_text_chunks_are_read(self) -> None:
        content = audio.aiff(
            audio.iff_chunk(b"NAME", b"name"), audio.iff_chunk(b"AUTH", b"author"), audio.iff_chunk(b"ANNO", b"note")
        )
        metadata = described(content, Container.AIFF)
        assert (metadata.title, metadata.artist, metadata.comment) == ("name", "author", "note")
        assert (metadata.duration_seconds, metadata.sample_rate, metadata.bit_rate) == (1.0, 8000, 128_000)

    def test_an_id3_chunk_goes_before_text_chunks(self) -> None:
        content = audio.aiff(audio.iff_chunk(b"NAME", b"name"), audio.iff_chunk(b"ID3 ", id3_tag()))
        assert described(content, Container.AIFF).title == "id3 title"


class TestOthers:
    def test_au_has_an_annotation(self) -> None:
        content = b".snd" + struct.pack(">IIIII", 32, 0xFFFFFFFF, 3, 8000, 1) + b"a note\0\0" + bytes(16_000)
        metadata = described(content, Container.AU)
        assert (metadata.comment, metadata.duration_seconds, metadata.bit_rate) == ("a note", 1.0, 128_000)
        assert metadata.title == "file name"

    def test_caf_has_strings(self) -> None:
        def chunk(kind: bytes, body: bytes) -> bytes:
            return kind + struct.pack(">q", len(body)) + body

        description = struct.pack(">d4sIIIII", 44_100.0, b"lpcm", 0, 4, 1, 2, 16)
        strings = struct.pack(">I", 2) + b"title\0t\0artist\0a\0"
        content = (
            b"caff\0\1\0\0" + chunk(b"desc", description) + chunk(b"info", strings) + chunk(b"data", bytes(4 + 44_100))
        )
        metadata = described(content, Container.CAF)
        assert (metadata.title, metadata.artist, metadata.codec) == ("t", "a", "pcm")
        assert (metadata.duration_seconds, metadata.bit_rate, metadata.bit_depth) == (0.25, 1_411_200, 16)

    def test_w64_is_a_wav_with_long_names(self) -> None:
        tail = b"\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a"

        def chunk(kind: bytes, body: bytes) -> bytes:
            return kind + tail + struct.pack("<Q", len(body) + 24) + body + bytes(-len(body) % 8)

        form = struct.pack("<HHIIHH", 1, 2, 44_100, 176_400, 4, 16)
        content = b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00" + bytes(8) + b"wave" + tail
        content += chunk(b"fmt ", form) + chunk(b"data", bytes(176_400))
        metadata = described(content, Container.W64)
        assert (metadata.duration_seconds, metadata.sample_rate, metadata.channels) == (1.0, 44_100, 2)

    def test_dsdiff_has_an_artist_and_a_title(self) -> None:
        def chunk(kind: bytes, body: bytes) -> bytes:
            return kind + struct.pack(">Q", len(body)) + body + bytes(len(body) & 1)

        properties = b"SND " + chunk(b"FS  ", struct.pack(">I", 2_822_400)) + chunk(b"CHNL", b"\0\2SLFTSRGT")
        names = chunk(b"DIAR", struct.pack(">I", 6) + b"artist") + chunk(b"DITI", struct.pack(">I", 5) + b"title")
        body = b"DSD " + chunk(b"PROP", properties) + chunk(b"DSD ", bytes(7056)) + chunk(b"DIIN", names)
        metadata = described(b"FRM8" + struct.pack(">Q", len(body)) + body, Container.DFF)
        assert (metadata.title, metadata.artist, metadata.codec, metadata.bit_depth) == ("title", "artist", "dsd", 1)
        assert metadata.duration_seconds == pytest.approx(0.01)

    def test_matroska_tags_are_about_the_track_or_the_album(self) -> None:
        def simple(name: str, value: str) -> bytes:
            return audio.element(0x67C8, audio.element(0x45A3, name.encode()) + audio.element(0x4487, value.encode()))

        def tag(level: int, *simples: bytes) -> bytes:
            return audio.element(
                0x7373, audio.element(0x63C0, audio.element(0x68CA, bytes([level]))) + b"".join(simples)
            )

        info = audio.element(
            0x1549A966, audio.element(0x4489, struct.pack(">d", 2500.0)) + audio.element(0x7BA9, b"segment")
        )
        sound = audio.element(0xB5, struct.pack(">f", 48_000.0)) + audio.element(0x9F, b"\2")
        entry = audio.element(0x83, b"\2") + audio.element(0x86, b"A_OPUS") + audio.element(0xE1, sound)
        picture = (
            audio.element(0x466E, b"cover.jpg")
            + audio.element(0x4660, b"image/jpeg")
            + audio.element(0x465C, bytes(77))
        )
        tags = tag(50, simple("TITLE", "album"), simple("ARTIST", "various")) + tag(
            30, simple("TITLE", "track"), simple("ARTIST", "artist"), simple("PART_NUMBER", "4")
        )
        segment = info + audio.element(0x1654AE6B, audio.element(0xAE, entry)) + audio.element(0x1254C367, tags)
        segment += audio.element(0x1941A469, audio.element(0x61A7, picture))
        content = audio.element(0x1A45DFA3, b"") + audio.element(0x18538067, segment)
        metadata = described(content, Container.MATROSKA)
        assert (metadata.title, metadata.artist, metadata.track_number) == ("track", "artist", 4)
        assert (metadata.album, metadata.album_artist) == ("album", "various")
        assert (metadata.codec, metadata.sample_rate, metadata.channels) == ("opus", 48_000, 2)
        assert (metadata.duration_seconds, metadata.artwork_size) == (2.5, 77)

    def test_adts_frames_are_counted(self) -> None:
        frame = b"\xff\xf1\x50\x80\x02\x1f\xfc" + bytes(9)  # AAC-LC, 44.1 kHz, stereo, 16 bytes
        metadata = described(id3_tag() + frame * 100, Container.ADTS)
        assert metadata.duration_seconds == pytest.approx(100 * 1024 / 44_100)
        assert (metadata.title, metadata.codec, metadata.channels) == ("id3 title", "aac", 2)

    def test_tta_states_its_length(self) -> None:
        header = b"TTA1" + struct.pack("<HHHII", 1, 2, 16, 44_100, 88_200) + bytes(4)
        metadata = described(id3_tag() + header + bytes(500) + audio.id3v1("v1"), Container.TTA)
        assert (metadata.title, metadata.duration_seconds, metadata.bit_depth) == ("id3 title", 2.0, 16)
        assert metadata.bit_rate == round((len(header) + 500) * 8 / 2)

    def test_an_ape_tag_goes_before_an_id3_tag_in_monkeys_audio(self) -> None:
        descriptor = b"MAC " + struct.pack("<HHI", 3990, 0, 52) + bytes(40)
        header = struct.pack("<HHIIIHHI", 2000, 0, 73_728, 44_100, 1, 16, 2, 44_100)
        content = id3_tag() + descriptor + header + bytes(100) + audio.ape_tag(Title="ape")
        metadata = described(content, Container.APE)
        assert (metadata.title, metadata.artist) == ("ape", "id3 artist")
        assert (metadata.duration_seconds, metadata.channels, metadata.bit_depth) == (1.0, 2, 16)

    def test_a_wavpack_stream_of_unknown_length_ends_with_its_last_block(self) -> None:
        def block(index: int, total: int) -> bytes:
            flags = 1 | 0x800 | 0x1000 | 9 << 23  # 16 bits, first and last of its stretch, 44.1 kHz
            return b"wvpk" + struct.pack("<IHBBIIIII", 24 + 10, 0x410, 0, 0, total, index, 22_050, flags, 0) + bytes(10)

        unknown = block(0, 0xFFFFFFFF) + block(22_050, 0xFFFFFFFF)
        assert described(unknown, Container.WAVPACK).duration_seconds == 1.0
        known = described(block(0, 44_100) + block(22_050, 44_100), Container.WAVPACK)
        assert (known.duration_seconds, known.sample_rate, known.channels, known.bit_depth) == (1.0, 44_100, 2, 16)
