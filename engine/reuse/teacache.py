"""One decision for all chunks of a step (TeaCache, Liu et al. 2024): the baseline that FlowCache improves on.

In a pipelined schedule chunks sit at different levels, so one decision for all suits none: whenever a chunk begins or
takes its last step, all are computed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from unreel.engine.errors import UserError
from unreel.engine.reuse.base import Item
from unreel.engine.reuse.flowcache import relative_l1
from unreel.engine.reuse.replay import Replays, check_replay


@dataclass(frozen=True)
class TeaCache(Replays):
    """Skip the whole step while the mean relative L1 change of all inputs adds up to less than ``threshold``."""

    threshold: float = 0.1
    warmup: int = 2
    replay_as: str = "clean"
    reach: float = 1.0

    def __post_init__(self) -> None:
        check_replay(self.replay_as, self.reach)
        if self.threshold < 0 or self.warmup < 1:
            raise UserError(f"teacache needs threshold >= 0 and warmup >= 1, got {self.threshold} and {self.warmup}")

    def split(self, items: Sequence[Item]) -> tuple[list[Item], list[Item]]:
        if not items:
            return [], []
        change = sum(self._change(item) for item in items) / len(items)
        ready = all(item.memory.get("computed", 0) >= self.warmup and not item.last for item in items)
        skip = ready and change < self.threshold
        for item in items:
            item.memory["change"] = change
        return ([], list(items)) if skip else (list(items), [])

    def record(self, item: Item, clean: Tensor) -> None:
        item.memory["computed"] = item.memory.get("computed", 0) + 1
        item.memory["change"] = 0.0
        super().record(item, clean)

    @staticmethod
    def _change(item: Item) -> float:
        signal = item.signal()
        before, item.memory["signal"] = item.memory.get("signal"), signal
        return 0.0 if before is None else float(item.memory.get("change", 0.0)) + relative_l1(signal, before)
