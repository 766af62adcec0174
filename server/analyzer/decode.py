"""Decoding any audio file to blocks of float samples, a second or so at a time."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import av
import numpy as np
from av.audio.resampler import AudioResampler
from av.error import FFmpegError

from server.analyzer.arrays import Samples

BLOCK_SAMPLES = 1 << 16
LOUDEST_SAMPLE = 8.0
"""Float files may hold anything; values above +18 dBFS are damage, and would swamp every sum that follows."""


class Undecodable(Exception):
    """The file holds no audio that can be decoded."""


@dataclass
class Recording:
    """An opened audio file. `samples_read` and `damaged_packets` count up while its blocks are read."""

    path: Path
    rate: int
    layout: str
    channels: tuple[str, ...]
    codec: str
    samples_read: int = field(default=0)
    damaged_packets: int = field(default=0)

    @property
    def seconds(self) -> float:
        return self.samples_read / self.rate

    def blocks(self) -> Iterator[Samples]:
        """Yields (channels, n) blocks at the file's own rate, `BLOCK_SAMPLES` long but for the last.

        Damaged packets are skipped and counted, since a scratch in a file isn't a reason to refuse the rest.
        """
        fifo = av.AudioFifo()
        try:
            with av.open(str(self.path), metadata_errors="replace") as container:
                for frame in self._frames(container):
                    frame.pts = None
                    fifo.write(frame)
                    while fifo.samples >= BLOCK_SAMPLES:
                        yield self._block(fifo, BLOCK_SAMPLES)
        except FFmpegError as error:
            raise Undecodable(_reason(error)) from error
        if fifo.samples:
            yield self._block(fifo, fifo.samples)

    def _frames(self, container: av.container.InputContainer) -> Iterator[av.AudioFrame]:
        stream = container.streams.audio[0]
        resampler = AudioResampler(format="fltp", layout=self.layout, rate=self.rate)
        packets = container.demux(stream)
        while True:
            try:
                packet = next(packets, None)
            except FFmpegError:
                # The container ends in the middle: what came before it is still music.
                self.damaged_packets += 1
                packet = None
            if packet is None:
                break
            try:
                frames = packet.decode()
            except FFmpegError:
                self.damaged_packets += 1
                continue
            for frame in frames:
                assert isinstance(frame, av.AudioFrame)
                yield from resampler.resample(frame)
        yield from resampler.resample(None)

    def _block(self, fifo: av.AudioFifo, samples: int) -> Samples:
        frame = fifo.read(samples, partial=True)
        assert frame is not None
        block: Samples = np.asarray(frame.to_ndarray(), np.float32)
        self.samples_read += block.shape[1]
        np.nan_to_num(block, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
        return np.clip(block, -LOUDEST_SAMPLE, LOUDEST_SAMPLE, out=block)


def open_recording(path: Path) -> Recording:
    """Looks at the first audio frame, since a header's claims about rate and channels may be wrong.

    Raises Undecodable when there is no audio stream, or none of it decodes.
    """
    try:
        with av.open(str(path), metadata_errors="replace") as container:
            if not container.streams.audio:
                raise Undecodable("no audio stream")
            stream = container.streams.audio[0]
            for packet in container.demux(stream):
                try:
                    frames = packet.decode()
                except FFmpegError:
                    continue
                for frame in frames:
                    assert isinstance(frame, av.AudioFrame)
                    if frame.samples and frame.sample_rate:
                        return Recording(
                            path,
                            frame.sample_rate,
                            frame.layout.name,
                            tuple(channel.name for channel in frame.layout.channels),
                            stream.codec_context.name,
                        )
    except (FFmpegError, ValueError, OSError) as error:
        raise Undecodable(_reason(error)) from error
    raise Undecodable("no audio could be decoded")


def _reason(error: Exception) -> str:
    """Without the path, which str() would add."""
    strerror = getattr(error, "strerror", None)
    return strerror if isinstance(strerror, str) else str(error)


class Mono:
    """Mixes blocks to one channel at a fixed rate."""

    def __init__(self, source_rate: int, rate: int) -> None:
        self._source_rate = source_rate
        self._resampler = AudioResampler(format="fltp", layout="mono", rate=rate)
        self._needed = source_rate != rate

    def feed(self, block: Samples) -> Samples:
        mixed: Samples = np.asarray(block.mean(axis=0, dtype=np.float32))
        if not self._needed:
            return mixed
        frame = av.AudioFrame.from_ndarray(mixed[np.newaxis], format="fltp", layout="mono")
        frame.sample_rate = self._source_rate
        return _joined(self._resampler.resample(frame))

    def finish(self) -> Samples:
        return _joined(self._resampler.resample(None)) if self._needed else np.empty(0, np.float32)


def _joined(frames: list[av.AudioFrame]) -> Samples:
    if not frames:
        return np.empty(0, np.float32)
    return np.concatenate([np.asarray(frame.to_ndarray()[0], np.float32) for frame in frames])
