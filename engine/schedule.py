"""The schedule: which chunks advance from which level to which, step by step.

One formula covers the field: ``level(chunk c, step k) = clip(k - begun(c), 0, S)``, and chunk c + 1 begins
``offset`` steps after chunk c. ``offset >= S`` is block by block (Self-Forcing), ``offset`` between is
MAGI-1's window and SkyReels-V2's ``ar_step``, ``offset = 0`` denoises the whole sequence together.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from unreel.engine.errors import UserError
from unreel.engine.types import CommitMode


@dataclass(frozen=True)
class Schedule:
    """``steps`` S per chunk; ``offset`` steps between the beginnings of two chunks (None: block by block)."""

    steps: int = 4
    offset: int | None = None
    commit: CommitMode = CommitMode.EXTRA_PASS

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise UserError(f"steps must be 1 or more, got {self.steps}")
        if self.offset is not None and self.offset < 0:
            raise UserError(f"offset must be 0 (all chunks together) or more, got {self.offset}")

    @property
    def gap(self) -> int:
        """Steps between the beginnings of two chunks."""
        return self.gap_after(self.steps)

    def gap_after(self, steps: int) -> int:
        """The same after a chunk that takes ``steps``; never more than these, which would only idle."""
        return steps if self.offset is None else min(self.offset, steps)

    @property
    def pipelined(self) -> bool:
        return self.gap < self.steps

    def level(self, chunk: int, step: int) -> int:
        """The level of a chunk before step ``step``, when all chunks take the same number of steps."""
        return min(max(step - chunk * self.gap, 0), self.steps)

    def rows(self, chunks: int) -> Iterator[dict[int, int]]:
        """For each step, the chunks that advance and the level each leaves. For tests and tables."""
        step = 0
        while True:
            moving = {
                c: self.level(c, step)
                for c in range(chunks)
                if c * self.gap <= step and self.level(c, step) < self.steps
            }
            if not moving:
                return
            yield moving
            step += 1
