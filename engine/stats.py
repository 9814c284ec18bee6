"""What a session measures of itself."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field
from statistics import quantiles
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from unreel.engine.generate import Work

RECENT = 20_000  # chunks of which times are kept


@dataclass
class Stats:
    """Counters and seconds since the session began. ``chunk_seconds`` are from event to event, decode included."""

    began: float = field(default_factory=lambda: time.perf_counter())  # looked up late: a bench may set another clock
    first_event_s: float | None = None
    chunks: int = 0
    calls: int = 0
    steps_computed: int = 0
    steps_reused: int = 0
    commit_rows: int = 0
    restarts: int = 0
    model_s: float = 0.0
    decode_s: float = 0.0
    commit_s: float = 0.0
    peak_context_bytes: int = 0
    chunk_seconds: deque[float] = field(default_factory=lambda: deque(maxlen=RECENT))
    _last: float | None = None
    _model_at_last: float = 0.0

    def computed(self, work: Work) -> None:
        rows = [row for part in work.rows.values() for row in part]
        self.calls += bool(rows)
        self.steps_computed += sum(row.item is not None for row in rows)
        self.commit_rows += sum(row.item is None for row in rows)
        self.steps_reused += len(work.skipped)
        self.model_s += work.seconds

    def context(self, held: int, seconds: float = 0.0) -> None:
        self.peak_context_bytes = max(self.peak_context_bytes, held)
        self.commit_s += seconds

    def emitted(self, decode_s: float) -> dict[str, float]:
        """Count a chunk; its seconds in the model, in the decoder and in all since the chunk before."""
        now = time.perf_counter()
        self.first_event_s = now - self.began if self.first_event_s is None else self.first_event_s
        total = now - (self.began if self._last is None else self._last)
        model = self.model_s - self._model_at_last
        self._last, self._model_at_last = now, self.model_s
        self.chunks += 1
        self.decode_s += decode_s
        self.chunk_seconds.append(total)
        return {"model": model, "decode": decode_s, "total": total}

    def resume_clock(self) -> None:
        """Forget the time since the last event: nobody was asking for chunks."""
        self._last = time.perf_counter() if self._last is not None else None

    def summary(self) -> dict[str, Any]:
        """Plain numbers for reports; percentiles over the chunks after the first."""
        times = list(self.chunk_seconds)[1:] or list(self.chunk_seconds)
        cuts = quantiles(times, n=20, method="inclusive") if len(times) > 1 else times * 19
        return {
            "chunks": self.chunks,
            "time_to_first_event_s": self.first_event_s,
            "chunk_p50_s": cuts[9] if cuts else None,
            "chunk_p95_s": cuts[18] if cuts else None,
            "backbone_calls": self.calls,
            "steps_computed": self.steps_computed,
            "steps_reused": self.steps_reused,
            "commit_rows": self.commit_rows,
            "restarts": self.restarts,
            "model_s": self.model_s,
            "decode_s": self.decode_s,
            "commit_s": self.commit_s,
            "peak_context_bytes": self.peak_context_bytes,
        }
