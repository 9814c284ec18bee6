"""Reuse decided per chunk and guidance branch from what the chunk itself does (FlowCache, chunk-wise caching).

The published rule compares patch-embedded inputs: a chunk is skipped while the relative L1 changes since its last
computed step add up to less than a threshold. Unlike the public ports, the chunk's own last step is always computed
(not only the stream's), chunks are never skipped together because one of them may be, and a later commit pass
renews the keys and values that a skipped chunk leaves standing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from unreel.engine.errors import UserError
from unreel.engine.reuse.base import Item
from unreel.engine.reuse.replay import Replays, check_replay, extrapolate

MEASURES = ("input", "output")


@dataclass(frozen=True)
class FlowCache(Replays):
    """Skip while the change stays below ``threshold``, after ``warmup`` computed steps, never the last step.

    ``measure`` says what changes: ``input`` is the published rule. ``output`` needs no embedding: at every computed
    step it notes by how much the replay would have missed (relative L1), scales that miss with the distance in time
    to the power of the replay's order plus one, as step size control of ODE solvers does, and skips while the miss to
    be expected is below the threshold.

    With ``align`` above 1, decisions are made at levels that are multiples of it and a chunk is skipped in between:
    in a schedule whose offset is a multiple too, chunks that are due are then due together, in one call.
    """

    threshold: float = 0.1
    warmup: int = 2
    replay_as: str = "linear"
    reach: float = 1.0
    measure: str = "input"
    align: int = 1

    def __post_init__(self) -> None:
        check_replay(self.replay_as, self.reach)
        if self.threshold < 0 or self.warmup < 1:
            raise UserError(f"flowcache needs threshold >= 0 and warmup >= 1, got {self.threshold} and {self.warmup}")
        if self.align < 1:
            raise UserError(f"align must be 1 level or more, got {self.align}")
        if self.measure not in MEASURES:
            raise UserError(f"measure must be one of {', '.join(MEASURES)}, got {self.measure!r}")

    def split(self, items: Sequence[Item]) -> tuple[list[Item], list[Item]]:
        run: list[Item] = []
        skip: list[Item] = []
        for item in items:
            (skip if self._skips(item) else run).append(item)
        return run, skip

    def record(self, item: Item, clean: Tensor) -> None:
        memory, points = item.memory, item.memory.get("points", ())
        if self.measure == "output" and points:
            miss = relative_l1(clean, extrapolate(points, item.times[0], self.reach))
            memory["rate"] = miss / (item.times[0] - points[-1][0]) ** len(points)
            memory["power"] = len(points)
        memory["computed"] = memory.get("computed", 0) + 1
        memory["change"] = 0.0
        super().record(item, clean)

    def _skips(self, item: Item) -> bool:
        ready = item.memory.get("computed", 0) >= self.warmup and not item.last and self.threshold > 0
        if ready and item.level % self.align:
            return True
        change = self._change(item)
        item.memory["change"] = change
        return ready and change < self.threshold

    def _change(self, item: Item) -> float:
        """How far the chunk is believed to have come since its last computed step."""
        memory = item.memory
        if self.measure == "input":
            signal = item.signal()
            before, memory["signal"] = memory.get("signal"), signal
            return 0.0 if before is None else float(memory.get("change", 0.0)) + relative_l1(signal, before)
        if "rate" not in memory:
            return math.inf
        return float(memory["rate"] * (item.times[0] - memory["points"][-1][0]) ** memory["power"])


def relative_l1(new: Tensor, old: Tensor) -> float:
    """mean |new - old| / mean |old|."""
    return float((new - old).abs().mean() / (old.abs().mean() + 1e-8))
