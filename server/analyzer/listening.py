"""One pass over a recording that gathers everything the stages build on."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from server.analyzer import beats, brightness, chords, decode, envelope, key, loudness, onset, tonal
from server.analyzer.arrays import Samples

_SILENT_DB = -60.0
_BELOW_PROGRAMME_DB = -40.0


@dataclass(frozen=True)
class Heard:
    """What one pass over a recording tells. `samples` and `rate` (Hz) are the file's own."""

    samples: int
    rate: int
    codec: str
    damaged_packets: int
    loudness: loudness.Loudness
    envelope: envelope.Envelope
    onsets: onset.Onsets
    notes: tonal.Notes
    brightness: brightness.Brightness

    @property
    def seconds(self) -> float:
        return self.samples / self.rate

    @cached_property
    def audible(self) -> tuple[float, float] | None:
        """Seconds at which sound begins and ends; None for silence.

        Sound is what exceeds both -60 dBFS and 40 dB below the programme, so that the hiss of a tape isn't it.
        """
        level = max(_SILENT_DB, self.loudness.integrated + _BELOW_PROGRAMME_DB)
        loud = np.flatnonzero(self.envelope.power.sum(axis=0) > 10 ** (level / 10))
        if not loud.size:
            return None
        return (
            float(loud[0] / envelope.FRAMES_PER_SECOND),
            float(min((loud[-1] + 1) / envelope.FRAMES_PER_SECOND, self.seconds)),
        )

    @cached_property
    def chords(self) -> chords.Chords:
        return chords.recognise(self.notes)

    @cached_property
    def key(self) -> key.Key | None:
        return key.find(self.notes, self.chords) if self.audible else None

    @cached_property
    def beats(self) -> beats.Beats | None:
        return beats.find(self.onsets, self.notes, self.envelope, self.audible) if self.audible else None


def listen(path: Path) -> Heard:
    """Decodes the file once, in blocks; memory grows by some 60 kB a second of music.

    Raises decode.Undecodable.
    """
    recording = decode.open_recording(path)
    mono = decode.Mono(recording.rate, envelope.RATE)
    meter = loudness.Meter(recording.rate, recording.channels)
    follower = envelope.Follower()
    short_windows, onset_listener = onset.windows(), onset.Listener()
    long_windows, tonal_listener = tonal.windows(), tonal.Listener()
    brightness_listener = brightness.Listener(tonal.WINDOW, envelope.RATE)

    def hear(samples: Samples) -> None:
        follower.feed(samples)
        onset_listener.hear(short_windows.feed(samples))
        spectra = long_windows.feed(samples)
        tonal_listener.hear(spectra)
        brightness_listener.hear(spectra)

    for block in recording.blocks():
        meter.feed(block)
        hear(mono.feed(block))
    if not recording.samples_read:
        raise decode.Undecodable("no audio could be decoded")
    hear(mono.finish())
    onset_listener.hear(short_windows.finish())
    tonal_listener.hear(long_windows.finish())
    return Heard(
        recording.samples_read,
        recording.rate,
        recording.codec,
        recording.damaged_packets,
        meter.finish(),
        follower.finish(),
        onset_listener.finish(),
        tonal_listener.finish(),
        brightness_listener.finish(),
    )
