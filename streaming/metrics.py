"""Prometheus figures of one server. A registry of its own: two servers in one process do not collide."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from unreel.streaming.backend import Began, Ended, Made, Notice, Receipt, Refused

SECONDS = (0.005, 0.01, 0.02, 0.04, 0.08, 0.15, 0.3, 0.6, 1.2, 2.5, 5.0, 10.0)


class Metrics:
    """Counted from the notices of the engine; the server sets the gauges before every scrape."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.chunks = Counter("unreel_chunks", "Chunks made", registry=registry)
        self.frames = Counter("unreel_frames", "Frames made", registry=registry)
        self.bytes = Counter("unreel_encoded_bytes", "Bytes encoded for viewers", ["format"], registry=registry)
        self.chunk_s = Histogram(
            "unreel_chunk_seconds", "From one chunk of a session to its next", buckets=SECONDS, registry=registry
        )
        self.model_s = Histogram("unreel_model_seconds", "Per chunk, in the model", buckets=SECONDS, registry=registry)
        self.encode_s = Histogram("unreel_encode_seconds", "Per chunk, encoding", buckets=SECONDS, registry=registry)
        self.began = Counter("unreel_sessions_started", "Sessions that got a place", registry=registry)
        self.ended = Counter("unreel_sessions_ended", "Sessions that are over", ["why"], registry=registry)
        self.refused = Counter("unreel_sessions_refused", "Sessions that got no place", registry=registry)
        self.controls = Counter("unreel_controls", "Controls by what became of them", ["status"], registry=registry)
        self.sessions = Gauge("unreel_sessions", "Sessions that have a place", registry=registry)
        self.queued = Gauge("unreel_queued", "Sessions that wait for one", registry=registry)
        self.viewers = Gauge("unreel_viewers", "Viewers of all sessions", registry=registry)
        self.connections = Gauge("unreel_connections", "Open websockets", registry=registry)
        self.shared = Gauge("unreel_sessions_per_call", "Sessions in the last backbone call", registry=registry)
        self.context_bytes = Gauge("unreel_context_bytes", "Keys and values kept by all sessions", registry=registry)

    def notice(self, notice: Notice) -> None:
        if isinstance(notice, Made):
            self.chunks.inc()
            self.frames.inc(notice.frames)
            self.chunk_s.observe(notice.timing.total_ms / 1e3)
            self.model_s.observe(notice.timing.model_ms / 1e3)
            self.encode_s.observe(notice.timing.encode_ms / 1e3)
            for format, packet in notice.packets.items():
                self.bytes.labels(format).inc(len(packet.data))
        elif isinstance(notice, Receipt):
            self.controls.labels(notice.status).inc()
        elif isinstance(notice, Began):
            self.began.inc()
        elif isinstance(notice, Ended):
            self.ended.labels(notice.why).inc()
        elif isinstance(notice, Refused):
            self.refused.inc()

    def text(self) -> bytes:
        """The exposition format."""
        return generate_latest(self.registry)
