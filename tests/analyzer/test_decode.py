"""Decoding real files of every format, and files that are broken in every way."""

from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from server.analyzer import decode

from . import encoding, tracks


def decoded(path: Path) -> NDArray[np.float32]:
    return np.concatenate(list(decode.open_recording(path).blocks()), axis=1)


@pytest.fixture(scope="module")
def track() -> tracks.Track:
    return tracks.render(tracks.Description(tempo=120, seconds=6))


@pytest.mark.parametrize("kind", encoding.FORMATS)
def test_every_format_decodes_to_the_same_sound_at_the_same_time(
    kind: str, track: tracks.Track, tmp_path: Path
) -> None:
    path = encoding.write(tmp_path / f"track.{kind}", track.audio, track.rate)
    recording = decode.open_recording(path)
    mono = decode.Mono(recording.rate, 22050)
    heard = np.concatenate([*(mono.feed(block) for block in recording.blocks()), mono.finish()])
    wanted = track.audio.mean(axis=0)[::2]
    size = min(heard.size, wanted.size)
    spectrum = np.fft.rfft(heard[:size], 2 * size) * np.conj(np.fft.rfft(wanted[:size], 2 * size))
    lag = int(np.argmax(np.fft.irfft(spectrum)))
    assert min(lag, 2 * size - lag) <= 2
    assert np.corrcoef(heard[:size], wanted[:size])[0, 1] > 0.95
    assert recording.seconds == pytest.approx(track.audio.shape[1] / track.rate, abs=0.05)


def test_blocks_are_bounded_and_add_up(tmp_path: Path) -> None:
    noise = np.random.default_rng(1).uniform(-0.5, 0.5, (2, 200_000)).astype(np.float32)
    recording = decode.open_recording(encoding.write(tmp_path / "noise.wav", noise, 44100))
    blocks = list(recording.blocks())
    assert [block.shape[1] for block in blocks] == [65536, 65536, 65536, 3392]
    assert np.abs(np.concatenate(blocks, axis=1) - noise).max() < 1e-4


@pytest.mark.parametrize(
    ("rate", "layout", "codec"), [(8000, "mono", "pcm_u8"), (96000, "stereo", "pcm_s24le"), (48000, "5.1", "pcm_f32le")]
)
def test_unusual_rates_depths_and_channels_decode(rate: int, layout: str, codec: str, tmp_path: Path) -> None:
    path = tmp_path / "odd.wav"
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, layout=layout)
        assert isinstance(stream, av.AudioStream)
        channels = stream.codec_context.channels
        silence = np.zeros((channels, rate), np.float32)
        frame = av.AudioFrame.from_ndarray(silence, format="fltp", layout=layout)
        frame.sample_rate = rate
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    recording = decode.open_recording(path)
    assert (recording.rate, len(recording.channels)) == (rate, channels)
    assert sum(block.shape[1] for block in recording.blocks()) == rate


def test_numbers_that_are_none_become_silence(tmp_path: Path) -> None:
    path = tmp_path / "damaged.wav"
    samples = np.full((1, 1000), 0.25, np.float32)
    samples[0, 10:13] = np.nan, np.inf, -np.inf
    samples[0, 20] = 1e30
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_f32le", rate=44100, layout="mono")
        assert isinstance(stream, av.AudioStream)
        frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
        frame.sample_rate = 44100
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    heard = decoded(path)
    assert heard[0, 9:14].tolist() == [0.25, 0, 0, 0, 0.25]
    assert heard[0, 20] == decode.LOUDEST_SAMPLE


def test_truncated_file_gives_what_is_left(track: tracks.Track, tmp_path: Path) -> None:
    whole = encoding.write(tmp_path / "whole.mp3", track.audio, track.rate)
    part = tmp_path / "part.mp3"
    part.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    assert decoded(part).shape[1] == pytest.approx(track.audio.shape[1] / 2, rel=0.1)


def test_scratch_in_the_middle_costs_only_the_scratch(track: tracks.Track, tmp_path: Path) -> None:
    path = encoding.write(tmp_path / "track.mp3", track.audio, track.rate)
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 2000] = bytes(2000)
    path.write_bytes(content)
    assert decoded(path).shape[1] > 0.9 * track.audio.shape[1]


@pytest.mark.parametrize("content", [b"", b"RIFF", b"just some words, no music at all\n" * 50, bytes(5000)])
def test_what_is_no_audio_is_undecodable(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "bad.mp3"
    path.write_bytes(content)
    with pytest.raises(decode.Undecodable) as caught:
        decoded(path)
    assert str(path) not in str(caught.value)


def test_picture_without_sound_is_undecodable(tmp_path: Path) -> None:
    path = tmp_path / "cover.png"
    with av.open(str(path), "w", format="image2") as container:
        stream = container.add_stream("png", rate=1)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 16, 16, "rgb24"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8))))
        container.mux(stream.encode(None))
    with pytest.raises(decode.Undecodable, match="no audio"):
        decoded(path)


def test_missing_file_is_undecodable(tmp_path: Path) -> None:
    with pytest.raises(decode.Undecodable):
        decode.open_recording(tmp_path / "nothing.flac")
