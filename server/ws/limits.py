"""How much, how often and how long: the bounds of the websocket hub."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Times in seconds, sizes in bytes. Tests make a day of them a moment."""

    coalesce: float = 0.02
    """Events that come within this time go out together."""
    transient_interval: float = 0.1
    """Between two transient events of one subject."""
    heartbeat: float = 25.0
    pong: float = 10.0
    """A client that leaves a ping unanswered for so long is closed."""
    stalled: float = 30.0
    """A client that takes nothing for so long is closed."""
    farewell: float = 5.0
    """A client that was told of its end may answer for so long, and is cut off then."""
    look_after: float = 1.0
    """How often the connections are looked through for all that."""
    retry: float = 1.0
    """The pause after the database couldn't be read."""
    high_water: int = 512 * 1024
    """While more than this waits in a client's socket, it is handed nothing more."""
    frame_events: int = 500
    frame_bytes: int = 256 * 1024
    slice_resources: int = 2000
    """As many resources are held in memory at once to be sent."""
    replay_batch: int = 500
    ring_items: int = 20_000
    ring_bytes: int = 32 * 1024 * 1024
