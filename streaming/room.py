"""One live session as the loop sees it: its viewers, the last chunks in every format, who owns it. Pure."""

from __future__ import annotations

from collections import deque

from unreel.streaming.backend import Backend, Made, Packet, Receipt
from unreel.streaming.config import ServerConfig
from unreel.streaming.present import manner
from unreel.streaming.protocol import ControlStatus, ModelInfo, Stats
from unreel.streaming.viewer import Viewer


class Room:
    """``owner`` is the viewer that may steer; ``orphan_since`` is when the last viewer left."""

    def __init__(
        self, id: str, key: str, watch: str, model: ModelInfo, backend: Backend, config: ServerConfig, now: float
    ) -> None:
        self.id, self.key, self.watch, self.model = id, key, watch, model
        self.backend, self.config, self.manner = backend, config, manner(model.modality)
        self.owner: Viewer | None = None
        self.viewers: list[Viewer] = []
        self.rings: dict[str, deque[Packet]] = {}
        self.next_seq = 0
        self.began = self.ended = self.paused = False
        self.record = False
        self.parent = ""  # the session it is a fork of
        self.orphan_since: float | None = now
        self.context_bytes = 0
        self._granted = 0
        self._key_asked: dict[str, float] = {}
        self._made: deque[tuple[float, int, float]] = deque(maxlen=64)  # when, frames, ms

    # ---- viewers -----------------------------------------------------------------------------------------

    def join(self, viewer: Viewer, last_seq: int | None, now: float) -> None:
        """Show ``viewer`` the stream: from after ``last_seq``, from the last key, or from the next one."""
        self.viewers.append(viewer)
        self.orphan_since = None
        self.rings.setdefault(viewer.format, deque())
        self._tell_formats()
        viewer.join(self.rings[viewer.format], last_seq)
        if viewer.lost and (self.rings[viewer.format] or self.paused):  # a new encoder begins with a key anyway
            self.ask_key(viewer.format, now)
        self.grant()

    def leave(self, viewer: Viewer, now: float) -> None:
        """``viewer`` is gone; its format's ring stays, for when it comes back."""
        if viewer in self.viewers:
            self.viewers.remove(viewer)
        if self.owner is viewer:
            self.owner = None
        if not self.viewers:
            self.orphan_since = now
        self.grant()

    def ack(self, viewer: Viewer, seq: int, now: float) -> bool:
        """Whether chunks that were owed are now dealt with."""
        news = viewer.ack(seq, now)
        viewer.pump(self.rings[viewer.format])
        if viewer.lost and viewer.credit > 0:
            self.ask_key(viewer.format, now)
        self.grant()
        return news

    def ask_key(self, format: str, now: float) -> None:
        """Ask for a key, at most every ``key_gap_s``: one slow viewer must not cost the others their bits."""
        if now - self._key_asked.get(format, -1e9) >= self.config.key_gap_s and self.began:
            self._key_asked[format] = now
            self.backend.key(self.id, format, still=self.paused)

    def grant(self) -> None:
        """Chunks may be made as far as the viewer that is furthest along can take them; no viewer, no chunk."""
        best = max((viewer.credit for viewer in self.viewers), default=0)
        upto = self.next_seq + max(0, best) if best > 0 else self.next_seq
        if upto != self._granted:
            self._granted = upto
            self.backend.grant(self.id, upto)

    def _tell_formats(self) -> None:
        self.backend.want(self.id, frozenset(self.rings))

    def forget_formats(self) -> None:
        """Stop encoding for nobody (called some time after the last viewer of a format left)."""
        used = {viewer.format for viewer in self.viewers}
        gone = [format for format in self.rings if format not in used] if used else []
        for format in gone:
            del self.rings[format]
        if gone:
            self._tell_formats()

    # ---- what the engine reports ---------------------------------------------------------------------------

    def publish(self, made: Made, now: float) -> None:
        """A chunk for everybody. The owner hears first which controls it obeys."""
        self.next_seq = made.seq + 1
        self.context_bytes = made.context_bytes
        self._made.append((now, made.frames, made.timing.total_ms))
        for control, kind in made.applied:
            self.receipt(Receipt(self.id, control, kind, "applied", made.chunk, made.seq))
        for format, packet in made.packets.items():
            ring = self.rings.get(format)
            if ring is None:
                continue
            ring.append(packet)
            self._trim(ring, format)
            for viewer in self.viewers:
                if viewer.format == format:
                    viewer.offer(ring)
                    if viewer.lost and viewer.credit > 0:
                        self.ask_key(format, now)
        self.grant()

    def still(self, format: str, packet: Packet) -> None:
        """The last picture, for those who have none; the stream itself goes on at its next key."""
        for viewer in self.viewers:
            if viewer.format == format and viewer.lost and viewer.credit > 0:
                viewer.send(packet)
                viewer.cursor = None

    def receipt(self, receipt: Receipt) -> None:
        if receipt.status == "applied" and receipt.kind in ("pause", "resume"):
            self.paused = receipt.kind == "pause"
        if self.owner is not None:
            self.owner.out.put(
                ControlStatus(
                    id=receipt.control,
                    kind=receipt.kind,
                    status=receipt.status,  # type: ignore[arg-type]
                    chunk=receipt.chunk,
                    seq=receipt.seq,
                    reason=receipt.reason,
                )  # fmt: skip
            )

    def _trim(self, ring: deque[Packet], format: str) -> None:
        most = self.manner.flow(format, 1, 1, self.config.ring)[2]
        while len(ring) > most or (len(ring) > 1 and sum(len(p.data) for p in ring) > self.config.ring_bytes):
            ring.popleft()

    # ---- figures -------------------------------------------------------------------------------------------

    def fps(self, now: float, span: float = 3.0) -> float:
        """Frames made per second over the last seconds."""
        recent = [frames for when, frames, _ in self._made if now - when <= span]
        return sum(recent) / span

    def stats(self, viewer: Viewer, now: float, sessions: int, queued: int) -> Stats:
        recent = [ms for when, _, ms in self._made if now - when <= 3.0]
        return Stats(
            fps=round(self.fps(now), 2), chunk_ms=round(sum(recent) / len(recent), 2) if recent else 0.0,
            sessions=sessions, queued=queued, viewers=len(self.viewers), dropped=viewer.dropped,
            context_bytes=self.context_bytes,
        )  # fmt: skip
