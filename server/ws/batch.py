"""Events put together into messages, each bounded in events and bytes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from server.ws import protocol
from server.ws.limits import Limits
from server.ws.protocol import Topics
from server.ws.ring import Item


@dataclass(frozen=True, slots=True)
class Frame:
    """A message as it goes over the wire, empty when nothing in its stretch of the ring is wanted.

    Who was sent it stands at `position`, and has seen everything up to `seq` (None: the stretch had nothing recorded).
    """

    wire: bytes
    position: int
    seq: int | None


def messages(events: Iterable[bytes], limits: Limits) -> Iterator[bytes]:
    """Payloads of `events` messages."""
    batch: list[bytes] = []
    size = 0
    for event in events:
        if batch and (len(batch) >= limits.frame_events or size + len(event) > limits.frame_bytes):
            yield _message(batch)
            batch, size = [], 0
        batch.append(event)
        size += len(event)
    if batch:
        yield _message(batch)


def frames(items: Sequence[Item], position: int, topics: Topics, client_id: str, limits: Limits) -> list[Frame]:
    """What one client is sent of a stretch of the ring that begins at `position`."""
    built: list[Frame] = []
    batch: list[bytes] = []
    size, seq = 0, None
    for item in items:
        detail = topics.wants(item.name)
        if detail is not None and item.client_id in (None, client_id):
            event = item.json(detail)
            if batch and (len(batch) >= limits.frame_events or size + len(event) > limits.frame_bytes):
                built.append(Frame(protocol.text_frame(_message(batch)), position, seq))
                batch, size = [], 0
            batch.append(event)
            size += len(event)
        position += 1
        seq = item.seq or seq
    built.append(Frame(protocol.text_frame(_message(batch)) if batch else b"", position, seq))
    return built


def _message(batch: Sequence[bytes]) -> bytes:
    return b'{"type":"events","events":[' + b",".join(batch) + b"]}"
