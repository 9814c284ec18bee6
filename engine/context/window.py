"""Keep the first and the most recent (StreamingLLM, Xiao et al. 2023; LongLive), counted in chunks or in frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from unreel.engine.context.store import Context, HeadGroup
from unreel.engine.errors import UserError


@dataclass(frozen=True)
class Full:
    """Keep everything: exact, and growing without end."""

    horizon: int | None = None
    queries: int = 0

    def groups(self, layer: int, heads: int) -> Sequence[tuple[int, ...]]:
        return [tuple(range(heads))]

    def kept(self, chunks: Sequence[int]) -> Sequence[int]:
        return chunks

    def compact(self, context: Context) -> None:
        return None


@dataclass(frozen=True)
class SinkWindow:
    """Keep the first ``sink`` chunks and the ``recent`` newest. Counted in chunks."""

    sink: int = 1
    recent: int = 8
    horizon: int | None = None
    queries: int = 0

    def __post_init__(self) -> None:
        if self.sink < 0 or self.recent < 1:
            raise UserError(f"a window needs sink >= 0 and recent >= 1 chunks, got {self.sink} and {self.recent}")

    def groups(self, layer: int, heads: int) -> Sequence[tuple[int, ...]]:
        return [tuple(range(heads))]

    def kept(self, chunks: Sequence[int]) -> Sequence[int]:
        """Those of ``chunks`` (rising indices) that stay."""
        return chunks if len(chunks) <= self.sink + self.recent else [*chunks[: self.sink], *chunks[-self.recent :]]

    def compact(self, context: Context) -> None:
        context.layers = [tuple(self._trim(group) for group in groups) for groups in context.layers]

    def _trim(self, group: HeadGroup) -> HeadGroup:
        stay = set(self.kept([s.chunk.index for s in group.segments]))
        return HeadGroup(group.heads, tuple(s for s in group.segments if s.chunk.index in stay))


@dataclass(frozen=True)
class SpanWindow:
    """Keep the first ``sink`` and the ``recent`` newest latent frames, for plans with several chunks at a time."""

    sink: int = 0
    recent: int = 8
    horizon: int | None = None
    queries: int = 0

    def __post_init__(self) -> None:
        if self.sink < 0 or self.recent < 1:
            raise UserError(f"a span needs sink >= 0 and recent >= 1 latent frames, got {self.sink} and {self.recent}")

    def groups(self, layer: int, heads: int) -> Sequence[tuple[int, ...]]:
        return [tuple(range(heads))]

    def compact(self, context: Context) -> None:
        begin, end = context.world
        old, new = begin + self.sink, end - self.recent
        gone = {c.index for c in context.spans if c.start >= old and c.start + c.frames <= new}
        context.drop(gone)
