"""Whole files read by mutagen: the fallback for every container it knows, and the oracle of our own readers' tests."""

from __future__ import annotations

from typing import Any

from mutagen import FileType
from mutagen.aac import AAC
from mutagen.ac3 import AC3
from mutagen.aiff import AIFF
from mutagen.apev2 import APEv2
from mutagen.asf import ASF, ASFTags
from mutagen.asf._attrs import ASFByteArrayAttribute
from mutagen.dsdiff import DSDIFF
from mutagen.dsf import DSF
from mutagen.flac import FLAC
from mutagen.id3 import ID3
from mutagen.monkeysaudio import MonkeysAudio
from mutagen.mp3 import MP3, BitrateMode
from mutagen.mp4 import MP4, MP4Tags
from mutagen.musepack import Musepack
from mutagen.oggflac import OggFLAC
from mutagen.oggopus import OggOpus
from mutagen.oggspeex import OggSpeex
from mutagen.oggtheora import OggTheora
from mutagen.oggvorbis import OggVorbis
from mutagen.optimfrog import OptimFROG
from mutagen.tak import TAK
from mutagen.trueaudio import TrueAudio
from mutagen.wave import WAVE
from mutagen.wavpack import WavPack

from server.hashing.container import Container
from server.metadata.draft import Draft
from server.metadata.errors import NoAudio
from server.metadata.model import BitRateMode
from server.metadata.source import Source
from server.metadata.tagging import apev2, asf, id3, mp4, vorbis

_CLASSES: dict[Container, type[FileType]] = {
    Container.MPEG: MP3,
    Container.ADTS: AAC,
    Container.ADIF: AAC,
    Container.FLAC: FLAC,
    Container.MP4: MP4,
    Container.WAV: WAVE,
    Container.AIFF: AIFF,
    Container.ASF: ASF,
    Container.APE: MonkeysAudio,
    Container.WAVPACK: WavPack,
    Container.TTA: TrueAudio,
    Container.MUSEPACK: Musepack,
    Container.DSF: DSF,
    Container.DFF: DSDIFF,
    Container.AC3: AC3,
    Container.TAK: TAK,
    Container.OPTIMFROG: OptimFROG,
}
_OGG_CLASSES: dict[bytes, tuple[type[FileType], str]] = {
    b"\x01vorbis": (OggVorbis, "vorbis"),
    b"OpusHead": (OggOpus, "opus"),
    b"\x7fFLAC": (OggFLAC, "flac"),
    b"Speex   ": (OggSpeex, "speex"),
    b"\x80theora": (OggTheora, "theora"),
}
_CODECS = {
    Container.ADTS: "aac",
    Container.ADIF: "aac",
    Container.FLAC: "flac",
    Container.WAV: "pcm",
    Container.AIFF: "pcm",
    Container.APE: "ape",
    Container.WAVPACK: "wavpack",
    Container.TTA: "tta",
    Container.MUSEPACK: "musepack",
    Container.DSF: "dsd",
    Container.DFF: "dsd",
    Container.AC3: "ac3",
    Container.TAK: "tak",
    Container.OPTIMFROG: "optimfrog",
}
_MODES = {BitrateMode.CBR: BitRateMode.CBR, BitrateMode.VBR: BitRateMode.VBR, BitrateMode.ABR: BitRateMode.ABR}
_OPUS_RATE = 48_000
_LOSSLESS = {"pcm", "flac", "alac", "ape", "wavpack", "tta", "dsd", "tak", "optimfrog"}
_UNTRANSLATED = {Container.MPEG, Container.TTA}  # whose loaders hand options on to ID3
READABLE = frozenset({*_CLASSES, Container.OGG})


def read(source: Source, draft: Draft, container: Container) -> None:
    """Fill the draft with what mutagen finds. Raises whatever mutagen does, which on damaged files can be anything."""
    options = {"translate": False} if container in _UNTRANSLATED else {}
    if container is Container.OGG:
        file_class, draft.codec = _ogg_class(source)
    else:
        file_class, draft.codec = _CLASSES[container], _CODECS.get(container)
    media: Any = file_class(source.rewound(), **options)
    if media.tags is not None:
        _fill_tags(draft, media)
    _fill_stream(draft, media.info)


def _ogg_class(source: Source) -> tuple[type[FileType], str]:
    first_packet = source.at(0, 4096)[28:]
    for magic, known in _OGG_CLASSES.items():
        if first_packet.startswith(magic):
            return known
    raise NoAudio("The first Ogg stream has a codec that mutagen doesn't know.")


def _fill_tags(draft: Draft, media: Any) -> None:
    tags: Any = media.tags
    if isinstance(tags, ID3):
        id3.fill(draft, id3.from_mutagen(tags))
    elif isinstance(tags, APEv2):
        apev2.fill(draft, ((key, value.kind, _ape_bytes(value)) for key, value in tags.items()))
    elif isinstance(tags, MP4Tags):
        _fill_mp4(draft, tags)
    elif isinstance(tags, ASFTags):
        _fill_asf(draft, tags)
    else:
        vorbis.fill(draft, getattr(tags, "vendor", ""), tags)
    for picture in getattr(media, "pictures", ()):
        draft.add_picture(picture.type, picture.mime, len(picture.data))


def _ape_bytes(value: Any) -> bytes:
    return value.value if isinstance(value.value, bytes) else str(value).encode()


def _fill_mp4(draft: Draft, tags: MP4Tags) -> None:
    for item, values in tags.items():
        if item in ("trkn", "disk"):
            for number, total in values[:1]:
                mp4.add_place(draft, item, number, total)
        elif item == "tmpo":
            mp4.add_tempo(draft, values[0] if values else 0)
        elif item == "cpil":
            draft.offer("compilation", [str(int(values))])
        elif item == "covr":
            for cover in values:
                mp4.add_cover(draft, cover.imageformat, bytes(cover[:8]), len(cover))
        elif item.startswith("----:"):
            mp4.add_free_form(draft, item.split(":", 2)[2], [value.decode(errors="replace") for value in values])
        elif values and isinstance(values[0], str):
            mp4.add_text(draft, item, values)


def _fill_asf(draft: Draft, tags: ASFTags) -> None:
    texts = [(name, str(value)) for name, value in tags if not isinstance(value, ASFByteArrayAttribute)]
    asf.fill(draft, texts)
    attribute: Any
    for name, attribute in tags:
        if name == "WM/Picture":
            asf.add_picture(draft, attribute.value)
        elif name == "WM/Lyrics_Synchronised":
            draft.has_lyrics = True


def _fill_stream(draft: Draft, info: Any) -> None:
    draft.duration_seconds = info.length
    draft.sample_rate = _OPUS_RATE if draft.codec == "opus" else getattr(info, "sample_rate", None)
    draft.channels = int(getattr(info, "channels", 0)) or None
    draft.bit_rate = getattr(info, "bitrate", None) or None
    draft.bit_rate_mode = _MODES.get(getattr(info, "bitrate_mode", BitrateMode.UNKNOWN))
    if draft.codec is None:
        draft.codec = f"mp{info.layer}" if hasattr(info, "layer") else _codec_of_description(info)
    if draft.codec in _LOSSLESS:
        draft.bit_depth = getattr(info, "bits_per_sample", None) or None
    if encoder := getattr(info, "encoder_info", None):
        draft.encoder = encoder


def _codec_of_description(info: Any) -> str | None:
    codec = getattr(info, "codec", None) or getattr(info, "codec_type", None)
    if codec is None:
        return None
    return "aac" if codec.startswith("mp4a") else str(codec).lower()
