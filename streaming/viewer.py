"""One pair of eyes on a room: credit, loss and catching up. Pure; what it sends goes into an outbox.

credit   a viewer owes at most ``window`` acks (and so many bytes): more is not sent
lag      chunks it has no credit for wait in the room's ring, up to ``lag`` of them
loss     beyond that the tail is dropped and the stream goes on at the next key
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import takewhile

from unreel.streaming.backend import Packet
from unreel.streaming.outbox import Outbox
from unreel.streaming.protocol import Chunk


class Viewer:
    """``cursor`` is the seq it wants next; None: it needs a key first."""

    def __init__(self, out: Outbox, format: str, window: int, window_bytes: int, lag: int, now: float) -> None:
        self.out, self.format = out, format
        self.window, self.window_bytes, self.lag = window, window_bytes, lag
        self.cursor: int | None = None
        self.owed: deque[tuple[int, int]] = deque()  # (seq, bytes) sent and not acknowledged
        self.dropped = 0
        self.sent_bytes = 0
        self.replay_until = -1  # chunks up to here were made before it came
        self.patience = 0  # a resumed client may lag this far until it has caught up
        self.heard = now  # when it last acknowledged, or owed nothing
        self._media: object = None

    @property
    def credit(self) -> int:
        """How many more chunks may be sent now."""
        if self.owed and sum(size for _, size in self.owed) >= self.window_bytes:
            return 0
        return self.window - len(self.owed)

    @property
    def lost(self) -> bool:
        return self.cursor is None

    def join(self, ring: Sequence[Packet], last_seq: int | None) -> None:
        """Start after ``last_seq``, or at the newest key of the ring; lost where neither is there."""
        newest = ring[-1].seq if ring else -1
        if last_seq is not None and ring and ring[0].seq <= last_seq + 1 <= newest + 1:
            self.cursor = last_seq + 1
            self.patience = len(_since(ring, self.cursor))
        else:
            key = _whole_key(ring)
            self.cursor = key if key is not None and len(_since(ring, key)) <= self.window else None
            self.replay_until = newest
        self.pump(ring)

    def offer(self, ring: Sequence[Packet]) -> None:
        """The ring has a new last packet."""
        packet = ring[-1]
        if self.cursor is None:
            if packet.key and self.credit > 0:
                self.cursor = packet.seq
            else:
                self.dropped += 1
        behind = 0 if self.cursor is None else len(_since(ring, self.cursor))
        self.patience = min(self.patience, behind)
        if self.credit <= 0 and behind > max(self.lag, self.patience):
            self.dropped += behind
            self.cursor = None
        self.pump(ring)

    def ack(self, seq: int, now: float) -> bool:
        """Everything up to ``seq`` has been dealt with. Whether that was news."""
        before = len(self.owed)
        while self.owed and self.owed[0][0] <= seq:
            self.owed.popleft()
        self.heard = now
        return len(self.owed) < before

    def pump(self, ring: Sequence[Packet]) -> None:
        """Send what there is credit for."""
        if self.cursor is None or not ring:
            return
        if self.cursor < ring[0].seq:  # it fell out of the ring
            self.dropped += ring[0].seq - self.cursor
            self.cursor = None
            return
        for packet in _since(ring, self.cursor):
            if self.credit > 0:
                self.send(packet)

    def send(self, packet: Packet) -> None:
        (media, init), part = packet.media, packet.part
        if packet.media != self._media:
            self._media = packet.media
            self.out.put(media, init or None)
        header = Chunk(
            seq=packet.seq, chunk=packet.chunk, frames=packet.frames, format=media.format, key=packet.key,
            replay=packet.seq <= self.replay_until, applied=list(packet.applied), sizes=list(packet.sizes),
            bytes=len(packet.data), timing=packet.timing, start=part.start, region=part.region, replaces=part.replaces,
            rect=None if part.rect is None else list(part.rect), final=part.final,
            camera=None if part.camera is None else list(part.camera), upcoming=part.upcoming,
            here=None if part.here is None else list(part.here),
        )  # fmt: skip
        self.out.put(header, packet.data)
        self.owed.append((packet.seq, len(packet.data)))
        self.sent_bytes += len(packet.data)
        self.cursor = packet.seq + 1


def _since(ring: Sequence[Packet], seq: int) -> list[Packet]:
    """The packets from ``seq`` on. Looked for from the end: most viewers are close to it."""
    found = list(takewhile(lambda packet: packet.seq >= seq, reversed(ring)))
    return found[::-1]


def _whole_key(ring: Sequence[Packet]) -> int | None:
    """Seq of the newest key from which on all parts of a window are in the ring."""
    whole = False
    for packet in reversed(ring):
        whole = whole or packet.whole
        if whole and packet.key:
            return packet.seq
    return None
